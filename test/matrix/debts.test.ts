import { afterEach, describe, expect, test } from 'vitest';
import type { Batch } from '../../src/matrix/batch.js';
import { Debts } from '../../src/matrix/debts.js';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { silentLog } from '../../src/telemetry/log.js';
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
  test('C3-owed: holds no other back, and no position is stored until it was read, each event once', async () => {
    const { clock, inbox, batches, room, beside, lift, says, heardIn } = await twoRooms();
    const before = batches.length;
    await says(room, ...words(0, 20));
    await says(beside, 'one');
    await clock.advance(500);
    expect(heardIn(beside)).toEqual(['one']);
    await says(room, 'more');
    await says(beside, 'two');
    await clock.advance(500);
    expect([heardIn(beside), heardIn(room)]).toEqual([['one', 'two'], []]);
    expect([inbox.owes(room), inbox.owes(beside), inbox.owed()]).toEqual([true, false, 1]);
    expect(batches.slice(before).map(({ position }) => position)).not.toContainEqual(expect.any(String));
    lift();
    await clock.advance(10_000);
    expect(heardIn(room)).toEqual([...words(0, 20), 'more']);
    expect(inbox.owed()).toBe(0);
    expect(batches.at(-1)?.position).toBe(inbox.position());
  });

  test('M-taken: it is owed until it was taken over', async () => {
    const taken: unknown[] = [];
    let full = false;
    const { clock, inbox, room, lift, says } = await twoRooms(async (batch) => {
      if (full) throw new Error('the disk is full');
      taken.push(...batch.rooms.flatMap(({ before }) => before.events.map(({ content }) => content['body'])));
    });
    await says(room, ...words(0, 20));
    await clock.advance(500);
    full = true;
    lift();
    await clock.advance(2000);
    expect([inbox.owes(room), taken]).toEqual([true, []]);
    full = false;
    await clock.advance(20_000);
    expect([inbox.owes(room), taken.filter(Boolean)]).toEqual([false, words(0, 20)]);
  });

  test('a room that we are out of is owed no more, whether /sync says so or not', async () => {
    for (const isTold of [true, false]) {
      const { clock, server, bot, inbox, batches, room, says } = await twoRooms();
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
      expect([inbox.owed(), batches.at(-1)?.position]).toEqual([0, inbox.position()]);
      expect(server.requests.length).toBeGreaterThan(0);
    }
  });

  test('what /sync told of our own state meanwhile is handed on with it, the newest of each', async () => {
    const { clock, server, bot, batches, room, lift, says } = await twoRooms();
    const elsewhere = server.connect('bot', 'E');
    for (const displayname of ['a', 'b']) {
      bot.cutOff();
      await elsewhere.setState(room, 'm.room.member', bot.user, { membership: 'join', displayname });
      await says(room, ...words(0, 20).map((word) => `${displayname} ${word}`));
      await clock.advance(1000);
    }
    lift();
    await clock.advance(10_000);
    const paid = batches.flatMap(({ rooms }) => rooms).find((one) => one.room === room && one.limited);
    expect(paid?.state.map(({ content }) => content['displayname'])).toEqual(['b']);
  });
});

test('tries grow rarer, and one that fails slowly takes a tenth of the time', () => {
  const clock = new SimulatedClock();
  const debts = new Debts(clock, silentLog, () => 1);
  const room = { room: '!slow', limited: true, timeline: [], state: [] };
  const fail = (tookMs: number) => {
    debts.failed(room, new HomeserverError('unreachable', 'no'), tookMs);
    return debts.dueInMs();
  };
  expect(debts.dueInMs()).toBe(Infinity);
  expect([fail(0), fail(0), fail(0)]).toEqual([100, 200, 400]);
  expect([fail(15_000), fail(200_000)]).toEqual([150_000, 300_000]);
  debts.settle('!slow');
  expect(fail(15_000)).toBe(100);
});
