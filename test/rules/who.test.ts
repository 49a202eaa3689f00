import { expect, test } from 'vitest';
import { Fence } from '../../src/routing/fence.js';
import { rendezvousOrder } from '../../src/routing/rendezvous.js';
import { SimulatedClock } from '../simulation/clock.js';
import { SimulatedPlatform } from '../simulation/platform.js';
import { LEASE, PATIENCE, World } from '../simulation/world.js';
import { alone, of, setting } from './setting.js';

const slow = (takesMs: number) => (world: World) => {
  world.platform.answer = ({ text }, n) => ({ text: `${text} by run ${n}`, takesMs });
};

test('O1: who has not heard the homeserver for a lease is passed over at once', async () => {
  const { world, alice, room, first, second } = await setting();
  first.life.client.cutOff();
  await world.clock.advance(LEASE + 2000);
  await world.asks(alice, room, 'hello');
  await world.clock.advance(1000);
  expect(world.verdict()).toBe('');
  expect(world.requests(of(second, 'send'))).toHaveLength(1);
});

test('O1-idle: an idle replica with an open long poll stays a candidate', async () => {
  const { world, first, second } = await setting();
  await world.clock.advance(25_000);
  expect(first.bot.readiness()).toEqual([]);
  expect(second.bot.status().alive).toEqual([expect.objectContaining({ candidate: true })]);
});

test('O2-joins: one that starts hears what the others have begun before it begins anything', async () => {
  const { world, alice, room, first } = await setting(slow(20_000));
  first.kill();
  await world.clock.advance(1000);
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.until(() => world.platform.invocations.length === 1);
  first.start();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('O2: what is begun stays with its beginner when one of higher rank becomes a candidate', async () => {
  const { world, alice, room, first } = await setting(slow(20_000));
  first.obstacle = 'not in sync';
  await world.clock.advance(1000);
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.until(() => world.platform.invocations.length === 1);
  await world.clock.advance(1000);
  first.obstacle = undefined;
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('O3: without a relay the next in rank acts after its patience', async () => {
  const { world, alice, room, first } = await setting();
  world.hub.down();
  await world.clock.advance(100);
  first.freeze();
  await world.asks(alice, room, 'hello');
  await world.clock.advance(PATIENCE - 100);
  expect(world.sent(room)).toHaveLength(0);
  await world.clock.advance(1000);
  expect(world.verdict()).toBe('');
});

test('O3-gone: one that a relay announces gone is passed over at once', async () => {
  const { world, alice, room, first } = await setting();
  first.kill();
  await world.clock.advance(100);
  await world.asks(alice, room, 'hello');
  await world.clock.advance(1000);
  expect(world.verdict()).toBe('');
});

test('O3-useless: a replica that is alive but cannot reach the platform delays and does not block', async () => {
  const { world, alice, room, first } = await setting();
  first.kill();
  first.platform = new SimulatedPlatform(world.clock, 'unreachable');
  first.platform.down();
  first.start();
  await world.clock.advance(2000);
  await world.asks(alice, room, 'hello');
  await world.clock.advance(3 * PATIENCE);
  expect(world.verdict()).toBe('');
});

test('O4: a jump of either clock past the lease raises the fence, a suspend too', async () => {
  const clock = new SimulatedClock();
  const jumps: number[] = [];
  const fence = new Fence(clock, 3000, (ms) => jumps.push(ms));
  await clock.advance(10_000);
  expect(fence.raised()).toBe(false);
  clock.suspend(60_000);
  expect(fence.raised()).toBe(true);
  const mark = fence.mark();
  clock.suspend(60_000);
  fence.lower(mark);
  expect(fence.raised()).toBe(true);
  fence.lower(fence.mark());
  expect(fence.raised()).toBe(false);
  expect(jumps).toHaveLength(2);
  fence.close();
});

test('O5: everything of one person is begun by one replica, in whichever room', async () => {
  const world = new World(3);
  const people = ['alice', 'bob', 'carol', 'dave'].map((name) => world.person(name));
  const rooms = [];
  for (const person of people) {
    for (let n = 0; n < 3; n++) rooms.push({ person, room: await world.plainRoom(person) });
  }
  await world.startAll();
  for (const { person, room } of rooms) await world.asks(person, room, `hello from ${room}`);
  await world.settleAll();
  expect(world.verdict()).toBe('');
  for (const person of people) {
    const own = rooms.filter((one) => one.person === person).map(({ room }) => room);
    const senders = world
      .requests(({ call, room }) => call === 'send' && own.includes(room ?? ''))
      .filter(({ user }) => user === world.bot);
    expect(new Set(senders.map(({ client }) => client)).size).toBe(1);
  }
});

test('O5-command: a command is begun by the owner of the records that it writes, wherever it is typed', async () => {
  const world = new World(3);
  const alice = world.person('alice');
  await world.plainRoom(alice);
  const order = (mxid: string) => world.ranks('', world.person(mxid))[0]?.id;
  const names = ['bob', 'carol', 'dave', 'erin', 'frank', 'grace'];
  const rooms = new Map<string, string>();
  for (const name of names) rooms.set(name, await world.plainRoom(world.person(name)));
  await world.startAll();
  const host = names.find((name) => order(name) !== order('alice'));
  const room = rooms.get(host ?? '') ?? '';
  await world.person(host ?? '').client.invite(room, alice.mxid);
  await alice.client.join(room);
  await world.asks(alice, room, '!new', { token: 'Made C2' });
  await world.settleAll();
  const makers = world.requests(({ call, user }) => call === 'createRoom' && user === world.bot);
  expect(new Set(makers.map(({ client }) => client.slice(0, 2)))).toEqual(new Set([order('alice')]));
});

test('O3-order: a member that leaves moves only its own shards', () => {
  const before = Array.from({ length: 64 }, (_, shard) => rendezvousOrder(shard, ['a', 'b', 'c', 'd']));
  const after = Array.from({ length: 64 }, (_, shard) => rendezvousOrder(shard, ['a', 'b', 'd']));
  expect(after).toEqual(before.map((order) => order.filter((member) => member !== 'c')));
  expect(new Set(before.map(([first]) => first)).size).toBe(4);
});

test('O6: one source of a room at a time, in the order of the timeline', async () => {
  const { world, alice, room } = await setting((made) => {
    made.platform.answer = ({ text }) => ({ text, takesMs: text === 'first' ? 3000 : 5 });
  });
  await world.asks(alice, room, 'first');
  await world.asks(alice, room, 'second');
  await world.asks(alice, room, 'third');
  await world.clock.advance(1000);
  expect(world.platform.invocations).toHaveLength(1);
  await world.settleAll();
  expect(world.seen(room).map(({ body }) => body)).toEqual(['first', 'second', 'third']);
  expect(world.verdict()).toBe('');
});

test('O6-ahead: !status passes ahead of the run before it', async () => {
  const { world, alice, room } = await setting(slow(20_000));
  await world.asks(alice, room, 'hello');
  await world.clock.advance(100);
  await world.asks(alice, room, '!status', { token: 'answered by' });
  await world.clock.advance(1000);
  expect(world.seen(room)).toHaveLength(1);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('O7: who is asked to end passes its runs on within 10 s, and a peer goes on with them', async () => {
  const { world, alice, room, first } = await setting((made) => {
    slow(60_000)(made);
    made.platform.forgetful = false;
  });
  await world.asks(alice, room, 'hello', { text: 'hello by run 1' });
  await world.until(() => world.platform.invocations.length === 1);
  let drained: number | undefined;
  const start = world.clock.monotonic();
  void first.bot.drain(9000).then(() => (drained = world.clock.monotonic() - start));
  await world.clock.advance(10_000);
  expect(drained).toBeLessThan(2000);
  first.kill();
  await world.settleAll();
  expect(world.verdict()).toBe('');
  expect(world.platform.invocations).toHaveLength(1);
});

test('O7-begins: who is draining begins nothing', async () => {
  const { world, alice, room, only } = await alone();
  void only.bot.drain(9000);
  await world.asks(alice, room, 'hello');
  await world.clock.advance(20_000);
  expect(world.sent(room)).toHaveLength(0);
  only.kill();
  world.restart(only);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});
