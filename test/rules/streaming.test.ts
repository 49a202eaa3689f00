import { expect, test } from 'vitest';
import { MOST_EDITS } from '../../src/bot/rate/ramp.js';
import { Streams } from '../../src/bot/rate/streams.js';
import { Source } from '../../src/bot/source.js';
import { Streamer } from '../../src/bot/streamer.js';
import { SimulatedClock } from '../simulation/clock.js';
import type { SimulatedPerson } from '../simulation/person.js';
import { World } from '../simulation/world.js';
import { mostEdits } from '../world/stream-edits.js';
import { stepOf, streamed } from './edits.js';
import { alone, of, setting } from './setting.js';

/** Runs that say a word every 100 ms, for so long. */
const talking = (takesMs: number) => (world: World) => {
  world.settings.placeholderAfterMs = 500;
  const deltas = Array.from({ length: takesMs / 100 }, (_, n) => `${n} `);
  world.platform.answer = ({ text }) => ({ text: `${text}, done`, takesMs, deltas });
};

test('D3-ramp: the edits of one answer come at longer and longer intervals', async () => {
  const { world, alice, room } = await alone(talking(60_000));
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  const edits = streamed(world, room).length;
  expect(edits).toBeGreaterThan(10);
  expect(edits).toBeLessThanOrEqual(mostEdits(60_000));
  expect(world.verdict()).toBe('');
});

test('D3-most: an answer that takes for ever has no more than so many', async () => {
  const clock = new SimulatedClock();
  const ref = { id: '$p', room: '!r', sender: '@a:b', ts: 0, kind: 'message' } as const;
  const source = new Source(ref, 0, { whole: true, stale: false });
  const shows = (step: string) => {
    const mark = { source: '$p', step, final: false, epoch: 0, replica: 'r' };
    source.append({ id: `$${step}`, mark, body: '', kind: 'm.text', redacted: false });
    return Promise.resolve(`$${step}`);
  };
  let edits = 0;
  const outbox = { placeholder: () => shows('anchor'), stream: () => shows(`stream/i/${++edits}`) };
  const streams = new Streams({ budget: { slowdown: () => 1 }, perSecond: 2, ofPeers: () => 0 });
  const settings = { afterMs: 0, streaming: true, streams };
  const streamer = new Streamer(source, outbox, clock, settings, new AbortController().signal);
  for (let n = 0; n < 400; n++) {
    streamer.progress(`text ${n}`);
    await clock.advance(5000);
  }
  expect(edits).toBe(MOST_EDITS);
  streamer.show('May I?');
  await clock.advance(1000);
  expect(edits).toBe(MOST_EDITS + 1);
  await streamer.stop();
  expect(streams.ofOurs()).toBe(0);
});

test('D3-together: answers that are shown at once share the edits, over all replicas', async () => {
  const world = new World(2);
  const rooms: { person: SimulatedPerson; room: string }[] = [];
  for (let n = 0; n < 6; n++) {
    const person = world.person(`person${n}`);
    rooms.push({ person, room: await world.plainRoom(person) });
  }
  talking(20_000)(world);
  world.settings.editsPerSecond = 0.5;
  await world.startAll();
  for (const { person, room } of rooms) await world.asks(person, room, 'hello');
  await world.clock.advance(5000);
  const all = () => rooms.flatMap(({ room }) => streamed(world, room)).length;
  const before = all();
  expect(new Set(rooms.map(({ person, room }) => world.ranks(room, person)[0]?.id)).size).toBe(2);
  await world.clock.advance(10_000);
  expect(all() - before).toBeGreaterThan(1);
  // One every two seconds; each of the six once in twelve.
  expect(all() - before).toBeLessThanOrEqual(6);
  await world.settleAll();
  expect(world.verdict()).toBe('');
});

test('D3-ramp: forty words shown at five sends a second: the final text once, and no edit after it', async () => {
  const { world, alice, room } = await alone(talking(4000));
  const limit = world.server.limit(world.bot, { perSecond: 5, burst: 1 });
  world.server.refuse(({ user, call }) => user === world.bot && call === 'send', 429, 1, 900);
  await world.asks(alice, room, 'hello');
  await world.settleAll();
  expect(stepOf(world.sent(room).at(-1) as never)).toBe('final');
  expect(streamed(world, room).length).toBeLessThanOrEqual(mostEdits(4000));
  expect(limit.passed.length).toBe(world.sent(room).length);
  expect(world.verdict()).toBe('');
});

test('D3-takeover: killed at the tenth edit, whoever goes on goes on with the ramp, and ends it once', async () => {
  const { world, alice, room, first } = await setting(talking(60_000));
  world.platform.forgetful = false;
  world.server.limit(world.bot, { perSecond: 5, burst: 5 });
  const since = world.clock.monotonic();
  await world.asks(alice, room, 'hello');
  await world.until(() => streamed(world, room).length === 10);
  first.kill();
  await world.settleAll();
  const sent = world.sent(room);
  expect(sent.filter((event) => stepOf(event) === 'final')).toHaveLength(1);
  expect(stepOf(sent.at(-1) as never)).toBe('final');
  const edits = streamed(world, room).length;
  expect(edits).toBeGreaterThan(10);
  // One at once by whoever takes it over.
  expect(edits).toBeLessThanOrEqual(mostEdits(60_000) + 1);
  expect(world.clock.monotonic() - since).toBeLessThan(120_000);
  expect(world.verdict()).toBe('');
});

test('D3-under-way: an edit that is under way when the text is there lands before it', async () => {
  const { world, alice, room, only } = await alone(talking(4000));
  const held = world.server.hold(of(only, 'send', /^stream\//), 'before');
  await world.asks(alice, room, 'hello');
  await world.until(() => world.platform.invocations.length === 1 && held.used);
  await world.clock.advance(5000);
  expect(world.requests(of(only, 'send', /^final$/))).toHaveLength(0);
  held.release();
  await world.settleAll();
  expect(stepOf(world.sent(room).at(-1) as never)).toBe('final');
  expect(world.verdict()).toBe('');
});
