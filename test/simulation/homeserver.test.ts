import { describe, expect, test } from 'vitest';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { ProcessClock, settle, SimulatedClock } from './clock.js';
import type { Match } from './faults.js';
import { SimulatedHomeserver } from './homeserver.js';

const sends: Match = ({ call }) => call === 'send';
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof HomeserverError ? error.code : String(error)),
  );

async function world() {
  const clock = new SimulatedClock();
  const server = new SimulatedHomeserver({ clock });
  const one = server.connect('bot', 'D', { name: 'one' });
  const two = server.connect('bot', 'D', { name: 'two' });
  const room = await one.createRoom({});
  const texts = () => server.history(room).flatMap(({ content }) => content['body'] ?? []);
  const send = (client: typeof one, txn: string, body: string, signal?: AbortSignal) =>
    client.send(room, 'm.room.message', txn, { body }, signal);
  return { clock, server, one, two, room, texts, send };
}

describe('faults of the simulated homeserver', () => {
  test('a request held before it is applied loses the register to one that overtakes it', async () => {
    const { server, one, two, texts, send } = await world();
    const held = server.hold((request) => sends(request) && request.client === 'one', 'before');
    const slow = send(one, 't', 'slow');
    await held.arrived;
    const fast = await send(two, 't', 'fast');
    held.release();
    expect(await slow).toBe(fast);
    expect(texts()).toEqual(['fast']);
  });

  test('a lost answer leaves the event, a dropped request leaves none', async () => {
    const { server, one, texts, send } = await world();
    const lost = server.hold(sends, 'after');
    const first = code(send(one, 'a', 'applied'));
    await lost.arrived;
    lost.lose();
    expect(await first).toBe('unreachable');
    const dropped = server.hold(sends, 'before');
    const second = code(send(one, 'b', 'never'));
    await dropped.arrived;
    dropped.drop();
    expect(await second).toBe('unreachable');
    expect(texts()).toEqual(['applied']);
    await send(one, 'a', 'again');
    expect(texts()).toEqual(['applied']);
  });

  test('a request that its sender gave up, or that met its deadline, is still applied late', async () => {
    const { clock, server, one, texts, send } = await world();
    const [first, second] = [server.hold(sends, 'before'), server.hold(sends, 'before')];
    const controller = new AbortController();
    const aborted = code(send(one, 'a', 'aborted', controller.signal));
    await first.arrived;
    controller.abort();
    expect(await aborted).toBe('aborted');
    const late = code(send(one, 'b', 'late'));
    await second.arrived;
    await clock.advance(10_000);
    expect(await late).toBe('unreachable');
    second.release();
    first.release();
    await settle();
    expect(texts()).toEqual(['late', 'aborted']);
  });

  test('after a day the homeserver has forgotten the transaction ids', async () => {
    const { server, one, texts, send } = await world();
    await send(one, 't', 'x');
    server.forgetTransactions();
    await send(one, 't', 'x');
    expect(texts()).toEqual(['x', 'x']);
  });

  test('one client is cut off while the other goes on; refusals are counted down', async () => {
    const { server, one, two, texts, send } = await world();
    const since = (await one.sync({ timeoutMs: 0 })).next_batch;
    const poll = code(one.sync({ since, timeoutMs: 30_000 }));
    await settle();
    one.cutOff();
    expect(await poll).toBe('unreachable');
    expect(await code(send(one, 'a', 'a'))).toBe('unreachable');
    server.refuse(sends, 429, 1, 500);
    expect(await code(send(two, 'b', 'b'))).toBe('rate-limited');
    expect(await code(send(two, 'b', 'b'))).toBe('done');
    one.restore();
    expect(await code(send(one, 'a', 'a'))).toBe('done');
    expect(texts()).toEqual(['b', 'a']);
  });

  test('between the halves of createRoom the alias is taken and its room is unreadable', async () => {
    const { server, one, two } = await world();
    const half = server.hold(({ call }) => call === 'createRoom', 'middle');
    const made = one.createRoom({ room_alias_name: 'space' });
    await half.arrived;
    const room = await two.resolveAlias(`#space:${server.serverName}`);
    await expect(two.roomState(room ?? '')).rejects.toMatchObject({ detail: { status: 403 } });
    await expect(two.createRoom({ room_alias_name: 'space' })).rejects.toMatchObject({
      detail: { status: 400, errcode: 'M_ROOM_IN_USE' },
    });
    half.release();
    expect(await made).toBe(room);
    expect(await two.joinedRooms()).toContain(room);
  });

  test('two createRoom at one instant: the loser gets 409', async () => {
    const { one, two } = await world();
    const both = await Promise.allSettled([one, two].map((bot) => bot.createRoom({ room_alias_name: 's' })));
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(both[1]).toMatchObject({ reason: { detail: { status: 409, errcode: 'M_UNKNOWN' } } });
  });

  test('a frozen client sends nothing and reads no answer until the thaw', async () => {
    const { server, one, texts, send } = await world();
    const held = server.hold(sends, 'after');
    let answered = false;
    const sent = send(one, 'a', 'a').then(() => (answered = true));
    await held.arrived;
    one.freeze();
    held.release();
    const second = send(one, 'b', 'b');
    await settle();
    expect([answered, texts()]).toEqual([false, ['a']]);
    one.thaw();
    await Promise.all([sent, second]);
    expect(texts()).toEqual(['a', 'b']);
  });
});

describe('the simulated clock', () => {
  test('runs timers in the order in which they are due, also those armed on the way', async () => {
    const clock = new SimulatedClock();
    const ran: string[] = [];
    const note = (name: string) => () => ran.push(`${name}@${clock.monotonic()}`);
    clock.after(30, note('late'));
    clock.after(10, () => {
      note('early')();
      void Promise.resolve().then(() => clock.after(5, note('chained')));
    });
    const stop = clock.every(20, note('every'));
    clock.after(25, note('cancelled'))();
    await clock.advance(40);
    stop();
    await clock.advance(100);
    expect(ran).toEqual(['early@10', 'chained@15', 'every@20', 'late@30', 'every@40']);
    expect(clock.armed).toBe(0);
  });

  test('in a suspend the wall clock jumps and the monotonic one stands still', () => {
    const clock = new SimulatedClock();
    const [wall, monotonic] = [clock.now(), clock.monotonic()];
    clock.suspend(5000);
    expect([clock.now() - wall, clock.monotonic() - monotonic]).toEqual([5000, 0]);
  });

  test('a frozen process runs what fell due when it thaws, once, and nothing that was cancelled', async () => {
    const world = new SimulatedClock();
    const clock = new ProcessClock(world, 7000);
    const ran: string[] = [];
    clock.after(10, () => ran.push('once'));
    clock.every(10, () => ran.push('every'));
    const cancel = clock.after(10, () => ran.push('cancelled'));
    clock.freeze();
    await world.advance(35);
    cancel();
    expect(ran).toEqual([]);
    clock.thaw();
    expect(ran).toEqual(['once', 'every']);
    expect(clock.now() - world.now()).toBe(7000);
  });
});
