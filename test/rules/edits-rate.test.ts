import { expect, test } from 'vitest';
import { Budget } from '../../src/bot/rate/budget.js';
import { Streams } from '../../src/bot/rate/streams.js';
import { Source } from '../../src/bot/source.js';
import { Streamer } from '../../src/bot/streamer.js';
import { HomeserverError } from '../../src/matrix/homeserver.js';
import { SimulatedClock } from '../simulation/clock.js';
import { World } from '../simulation/world.js';
import { mostEdits } from '../world/stream-edits.js';
import { streamed } from './edits.js';
import { alone } from './setting.js';

const silent = { broadcast: () => undefined, on: () => () => undefined };

function budgetAlone() {
  const clock = new SimulatedClock();
  const budget = new Budget({ clock, channel: silent });
  let tried = 0;
  const offer = (refusedMs?: number) =>
    budget.offer(() => {
      tried += 1;
      if (refusedMs === undefined) return Promise.resolve(true);
      return Promise.reject(new HomeserverError('rate-limited', 'no', { retryAfterMs: refusedMs }));
    });
  return { clock, budget, offer, tries: () => tried };
}

/** As many words as fit, one every 200 ms. */
const words = (ms: number) => Array.from({ length: ms / 200 }, (_, n) => `${n} `);

/** Two replicas, so many rooms in which something is asked at one instant, and edits that stand in each afterwards. */
async function shown(count: number, takesMs: number, limit: { perSecond: number; burst: number }) {
  const world = new World(2);
  const rooms: string[] = [];
  const people = Array.from({ length: count }, (_, n) => world.person(`person${n}`));
  for (const person of people) rooms.push(await world.plainRoom(person));
  world.settings.placeholderAfterMs = 1500;
  world.platform.answer = ({ text }) => ({ text: `${text}, done`, takesMs, deltas: words(takesMs) });
  await world.startAll();
  world.server.limit(world.bot, limit);
  for (const [n, person] of people.entries()) await world.asks(person, rooms[n] ?? '', 'hello');
  await world.settleAll();
  expect(world.verdict()).toBe('');
  return rooms.map((room) => streamed(world, room).length);
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

test('Q-starved: answers that are shown at once under a limit are all shown while they come', async () => {
  // Seen before: one of these four rooms had all the edits, and eight rooms had nine in a minute.
  const four = await shown(4, 30_000, { perSecond: 5, burst: 1 });
  expect(Math.min(...four)).toBeGreaterThanOrEqual(2);
  expect(sum(four)).toBeGreaterThanOrEqual(12);
  expect(Math.max(...four)).toBeLessThanOrEqual(mostEdits(30_000));
  const eight = await shown(8, 60_000, { perSecond: 5, burst: 1 });
  expect(Math.min(...eight)).toBeGreaterThanOrEqual(1);
  expect(sum(eight)).toBeGreaterThanOrEqual(16);
});

test('Q-lesson: holds that come before edits are seen to be slower teach nothing more', async () => {
  const { clock, budget } = budgetAlone();
  const slowdowns: number[] = [];
  for (let n = 0; n < 12; n++) {
    budget.hear(200);
    slowdowns.push(budget.slowdown());
    await clock.advance(2100);
  }
  // After 2, 4 and 8 seconds and the next hold.
  expect(slowdowns).toEqual([2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8]);
});

test('Q-short: after a short hold edits come back soon', async () => {
  const { clock, budget } = budgetAlone();
  budget.hear(200);
  await clock.advance(390);
  expect(budget.isTight()).toBe(true);
  await clock.advance(20);
  expect(budget.isTight()).toBe(false);
  budget.hear(5000);
  await clock.advance(5990);
  expect(budget.isTight()).toBe(true);
  await clock.advance(20);
  expect(budget.isTight()).toBe(false);
});

test('Q-crowded: once refused, an edit does not follow another send at once, and is left out unasked', async () => {
  const { clock, budget, offer, tries } = budgetAlone();
  expect([await offer(), await offer(), await offer(300)]).toEqual([true, true, undefined]);
  await clock.advance(700);
  expect(budget.isTight()).toBe(false);
  expect([await offer(), await offer()]).toEqual([true, undefined]);
  expect(tries()).toBe(4);
  expect(budget.held()).toBe(0);
  await clock.advance(310);
  await budget.send('answer', () => Promise.resolve());
  expect(await offer()).toBeUndefined();
  await clock.advance(310);
  expect(await offer()).toBe(true);
  // The lesson is forgotten, and no homeserver is asked to say it again for nothing.
  await clock.advance(60_000);
  expect([await offer(), await offer()]).toEqual([true, true]);
});

test('Q-apart: answers whose placeholders are left out at one instant do not try again at one instant', async () => {
  const clock = new SimulatedClock();
  const streams = new Streams({ budget: { slowdown: () => 1 }, perSecond: 2, ofPeers: () => 0 });
  const tried: number[][] = [];
  const { signal } = new AbortController();
  const streamers = ['$a', '$b', '$c', '$d'].map((id, n) => {
    const ref = { id, room: '!r', sender: '@a:b', ts: 0, kind: 'message' } as const;
    const source = new Source(ref, 0, { whole: true, stale: false });
    const at: number[] = (tried[n] = []);
    const placeholder = () => Promise.resolve(void at.push(clock.monotonic()));
    const outbox = { placeholder, stream: () => Promise.reject(new Error('not yet')) };
    return new Streamer(source, outbox, clock, { afterMs: 0, streaming: true, streams }, signal);
  });
  await clock.advance(5000);
  for (const streamer of streamers) await streamer.stop();
  for (const at of tried) expect(at.length).toBeGreaterThan(5);
  const again = tried.flatMap((at) => at.slice(1));
  expect(new Set(again).size).toBeGreaterThan(0.9 * again.length);
});

test('D3-left-out: what was left out counts on no ramp, so that edits come back after however long a hold', async () => {
  const { world, alice, room, only } = await alone((made) => {
    made.settings.placeholderAfterMs = 500;
    made.platform.answer = () => ({ text: 'done', takesMs: 160_000, deltas: words(160_000) });
  });
  await world.asks(alice, room, 'hello', { token: '', text: 'done' });
  await world.until(() => streamed(world, room).length === 3);
  only.bot.budget.hear(120_000);
  await world.clock.advance(119_900);
  expect(streamed(world, room)).toHaveLength(3);
  expect(only.bot.budget.counts.leftOut).toBeGreaterThan(100);
  await world.clock.advance(10_000);
  expect(streamed(world, room).length).toBeGreaterThanOrEqual(6);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});
