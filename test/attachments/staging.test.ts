import { expect, test } from 'vitest';
import type { Media } from '../../src/bot/attachments/media.js';
import { Slots } from '../../src/bot/attachments/slots.js';
import { Staging, WAITS_MS } from '../../src/bot/attachments/staging.js';
import { SimulatedClock } from '../simulation/clock.js';

const ROOM = '!room:test';
const ALICE = '@alice:test';
const HOUR = 3_600_000;

async function longUp() {
  const clock = new SimulatedClock();
  const staging = new Staging(clock);
  await clock.advance(2 * HOUR);
  const file = (event: string, size = 10): Media => ({
    event,
    ts: clock.now(),
    name: event,
    mimeType: 'image/png',
    size,
    address: { server: 'test', mediaId: 'a' },
  });
  const holds = (person = ALICE, room = ROOM) => staging.mayHold(room, person, clock.now());
  return { clock, staging, file, holds };
}

test('knows nothing of what came before it started, and says so', async () => {
  const clock = new SimulatedClock();
  const staging = new Staging(clock);
  expect(staging.mayHold(ROOM, ALICE, clock.now())).toBe(true);
  staging.taken(ROOM, ALICE, staging.next());
  expect(staging.mayHold(ROOM, ALICE, clock.now())).toBe(false);
  expect(staging.mayHold(ROOM, '@bob:test', clock.now())).toBe(true);
  await clock.advance(HOUR);
  expect(staging.mayHold(ROOM, '@bob:test', clock.now())).toBe(false);
});

test('holds each person’s files of each room until their prompt, and not those after it', async () => {
  const { staging, file, holds } = await longUp();
  expect(holds()).toBe(false);
  staging.add(ROOM, ALICE, file('$1'));
  const prompt = staging.next();
  staging.add(ROOM, ALICE, file('$2'));
  staging.add(ROOM, ALICE, file('$2'));
  expect([holds(), holds('@bob:test'), holds(ALICE, '!other:test')]).toEqual([true, false, false]);
  expect(staging.count()).toEqual({ items: 2, bytes: 20 });
  staging.taken(ROOM, ALICE, prompt);
  expect(staging.count()).toEqual({ items: 1, bytes: 10 });
  staging.redacted('!other:test', '$2');
  expect(holds()).toBe(true);
  staging.redacted(ROOM, '$2');
  expect(holds()).toBe(false);
});

test('lets go of what waits too long', async () => {
  const { clock, staging, file, holds } = await longUp();
  staging.add(ROOM, ALICE, file('$1'));
  await clock.advance(WAITS_MS + 1);
  expect(holds()).toBe(false);
  await clock.advance(WAITS_MS);
  expect(staging.count().items).toBe(0);
});

test('no person and no crowd makes it grow without bound; who is forgotten for room is looked up again', async () => {
  const { clock, staging, file, holds } = await longUp();
  for (let i = 0; i < 1000; i++) staging.add(ROOM, ALICE, file(`$${i}`));
  expect(staging.count().items).toBe(11);
  for (let i = 0; i < 3000; i++) staging.add(ROOM, `@${i}:test`, file(`$of${i}`));
  expect(staging.count().items).toBe(2000);
  expect(holds()).toBe(true);
  await clock.advance(HOUR);
  expect(holds()).toBe(false);
});

test('slots are given in order, given back once, and left by who goes away', async () => {
  const slots = new Slots(1);
  const [gone, stays] = [new AbortController(), new AbortController().signal];
  const leave = await slots.enter(stays);
  const order: string[] = [];
  const first = slots.enter(gone.signal).catch(() => order.push('gone'));
  const second = slots.enter(stays).then((next) => {
    order.push('second');
    return next;
  });
  const third = slots.enter(stays).then((next) => {
    order.push('third');
    return next;
  });
  gone.abort(new Error('gone'));
  await first;
  leave();
  leave();
  const next = await second;
  expect(order).toEqual(['gone', 'second']);
  next();
  (await third)();
  (await slots.enter(stays))();
  expect(order).toEqual(['gone', 'second', 'third']);
  await expect(slots.enter(gone.signal)).rejects.toThrow('gone');
});
