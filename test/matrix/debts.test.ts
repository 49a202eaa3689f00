import { afterEach, describe, expect, test } from 'vitest';
import type { Batch } from '../../src/matrix/batch.js';
import { Debts } from '../../src/matrix/debts.js';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { silentLog } from '../../src/telemetry/log.js';
import { sleep } from '../../src/time/clock.js';
import { SimulatedClock } from '../simulation/clock.js';
import type { SimulatedRequest } from '../simulation/faults.js';
import { call, closeAll, wholeRooms, words, world } from './inbox-world.js';

afterEach(closeAll);

const reads = (room: string) => (request: SimulatedRequest) =>
  call('messages')(request) && request.room === room;
const detail = { status: 502 };

/** A second room beside the one that cannot be read. */
async function twoRooms(onBatch?: (batch: Batch) => Promise<void>) {
  const made = await world(onBatch && { onBatch });
  const { server, bot, alice, room, inbox } = made;
  const beside = await alice.createRoom({ preset: 'private_chat', invite: [bot.user] });
  await bot.join(beside);
  inbox.start();
  await inbox.catchUp();
  const lift = server.faults.refuseBy(reads(room), detail);
  /** While the bot hears nothing, so that it comes in one answer. */
  const says = async (to: string, ...said: string[]) => {
    bot.cutOff();
    for (const body of said) await alice.send(to, 'm.room.message', `${to}${body}`, { body });
    bot.restore();
  };
  const heardIn = (which: string) =>
    made.batches
      .flatMap(wholeRooms)
      .filter((one) => one.room === which)
      .flatMap(({ events }) => events.map(({ content }) => content['body']))
      .filter((body) => body !== undefined);
  return { ...made, beside, lift, says, heardIn };
}

describe('a room that cannot be read', () => {
  test('C3-owed: holds no other back, and is kept with the position that passes it until it was read, each event once', async () => {
    const { clock, inbox, batches, room, beside, lift, says, heardIn } = await twoRooms();
    const before = batches.length;
    const stood = inbox.position();
    await says(room, ...words(0, 20));
    await says(beside, 'one');
    await clock.advance(500);
    expect(heardIn(beside)).toEqual(['one']);
    await says(room, 'more');
    await says(beside, 'two');
    await clock.advance(500);
    expect([heardIn(beside), heardIn(room)]).toEqual([['one', 'two'], []]);
    expect([inbox.owes(room), inbox.owes(beside), inbox.owed()]).toEqual([true, false, 1]);
    expect(batches.slice(before).flatMap(({ owed }) => owed)).toEqual([{ room, from: stood }]);
    lift();
    await clock.advance(10_000);
    expect(heardIn(room)).toEqual([...words(0, 20), 'more']);
    expect(inbox.owed()).toBe(0);
    expect(batches.flatMap(({ paid }) => paid)).toEqual([room]);
  });

  test('M-taken: it is owed until it was taken over', async () => {
    const taken: unknown[] = [];
    let full = false;
    const { clock, inbox, room, lift, says } = await twoRooms(async (batch) => {
      if (full) throw new Error('the disk is full');
      taken.push(...batch.rooms.flatMap(({ events }) => events.map(({ content }) => content['body'])));
    });
    await says(room, ...words(0, 20));
    await clock.advance(500);
    full = true;
    lift();
    await clock.advance(2000);
    expect([inbox.owes(room), taken.filter(Boolean)]).toEqual([true, []]);
    full = false;
    await clock.advance(20_000);
    expect([inbox.owes(room), taken.filter(Boolean)]).toEqual([false, words(0, 20)]);
  });

  test('a room that we are out of is owed no more, whether /sync says so or not', async () => {
    for (const isTold of [true, false]) {
      const { clock, bot, inbox, batches, room, says } = await twoRooms();
      await says(room, ...words(0, 20));
      await clock.advance(500);
      expect(inbox.owed()).toBe(1);
      if (isTold) await bot.leave(room);
      else {
        bot.joinedRooms = () => Promise.resolve([]);
        bot.messages = () =>
          Promise.reject(new HomeserverError('refused', 'no', { status: 403, errcode: 'M_FORBIDDEN' }));
      }
      await clock.advance(20_000);
      expect([inbox.owed(), batches.flatMap(({ paid }) => paid)]).toEqual([0, [room]]);
    }
  });

  test('M-first: one that was never read lets no position be stored, and what was told of its state comes with it', async () => {
    let fails = true;
    const { clock, server, bot, room, inbox, batches, say } = await world({
      fresh: true,
      readBefore: () =>
        fails
          ? Promise.reject(new HomeserverError('unreachable', 'no'))
          : Promise.resolve({ events: [], goesOn: false }),
    });
    const elsewhere = server.connect('bot', 'E');
    await elsewhere.setState(room, 'm.room.member', bot.user, { membership: 'join', displayname: 'a' });
    await say(...words(0, 20));
    inbox.start();
    await clock.advance(2000);
    await say('more');
    await clock.advance(2000);
    expect([inbox.owed(), batches.some(({ position }) => position !== undefined)]).toEqual([1, false]);
    fails = false;
    await clock.advance(60_000);
    const [read] = batches.flatMap(({ rooms }) => rooms);
    expect([read?.filled, read?.events]).toEqual([false, []]);
    expect(read?.state.map(({ content }) => content['displayname'])).toContain('a');
    expect(batches.at(-1)?.position).toBe(inbox.position());
  });

  test('M-trying: where many fail slowly, the batch waits for a few of them only', async () => {
    const { clock, alice, bot, inbox, say, room, heard } = await world();
    const others = [];
    for (let n = 0; n < 20; n++) others.push(await alice.createRoom({ invite: [bot.user] }));
    for (const other of others) await bot.join(other);
    inbox.start();
    await inbox.catchUp();
    bot.messages = async (_room, _page, signal) => {
      await sleep(clock, 15_000, signal);
      throw new HomeserverError('unreachable', 'no answer');
    };
    bot.cutOff();
    for (const other of others)
      for (const body of words(0, 9)) await alice.send(other, 'm.room.message', `${other}${body}`, { body });
    bot.restore();
    await say('hello');
    await clock.advance(20_000);
    expect(heard()).toContain('hello');
    expect([inbox.owed(), inbox.owes(room)]).toEqual([20, false]);
  });
});

/** Some debts, and the clock by which they are due. */
function debts(kept?: ReadonlyMap<string, string>) {
  const clock = new SimulatedClock();
  const made = new Debts({ clock, log: silentLog, random: () => 1 }, kept);
  const fail = (room: string, tookMs = 0) => {
    made.owe({ room, limited: true, timeline: [], state: [] }, 's1');
    made.failed(room, new HomeserverError('unreachable', 'no'), tookMs);
    return made.dueInMs();
  };
  return { clock, made, fail };
}

test('tries grow rarer, and one that fails slowly takes a tenth of the time', () => {
  const { made, fail } = debts();
  expect(made.dueInMs()).toBe(Infinity);
  expect([fail('!slow'), fail('!slow'), fail('!slow')]).toEqual([100, 200, 400]);
  expect([fail('!slow', 15_000), fail('!slow', 200_000)]).toEqual([150_000, 300_000]);
  made.settle('!slow');
  expect(fail('!slow', 15_000)).toBe(100);
  for (let n = 0; n < 30; n++) fail('!slow');
  expect(fail('!slow')).toBe(60_000);
});

test('however many rooms are owed, few are tried at once, and none oftener than each second', async () => {
  const { clock, made, fail } = debts();
  for (let n = 0; n < 30; n++) fail(`!${n}`);
  await clock.advance(100);
  const first = made.due();
  expect([first.length, made.dueInMs(), made.due()]).toEqual([8, 1000, []]);
  for (const room of first) fail(room);
  await clock.advance(1000);
  expect(made.due()).toEqual(Array.from({ length: 8 }, (_, n) => `!${n + 8}`));
});

test('what was kept from before is owed from its own position on, and due at once', () => {
  const { made } = debts(new Map([['!a', 's7']]));
  expect([made.owes('!a'), made.from('!a'), made.due(), made.unkept()]).toEqual([true, 's7', ['!a'], []]);
  made.owe({ room: '!a', limited: true, timeline: [], state: [] }, 's9');
  made.owe({ room: '!b', limited: true, timeline: [], state: [] }, 's9');
  expect([made.from('!a'), made.unkept()]).toEqual(['s7', [{ room: '!b', from: 's9' }]]);
  expect(made.holdPosition(new Set())).toBe(false);
  made.owe({ room: '!c', limited: true, timeline: [], state: [] }, undefined);
  expect([made.holdPosition(new Set()), made.holdPosition(new Set(['!c']))]).toEqual([true, false]);
});
