import { expect, it } from 'vitest';
import type { BackendRequest } from '../../src/platform/backends/backend.js';
import { drillBackend } from '../../src/platform/backends/drill.js';
import { fillUp, readOrders, slices } from '../../src/platform/backends/drill-orders.js';
import type { Clock } from '../../src/time/clock.js';

const none = { waitMs: 0, deltas: 0, everyMs: 50, approve: false, fail: false, size: 0, vary: false };

it('reads its orders anywhere in a prompt, and only whole words', () => {
  expect(readOrders('hello')).toEqual(none);
  expect(readOrders('please wait 1.5 then stream 40, size 50000')).toEqual({
    ...none,
    waitMs: 1_500,
    deltas: 40,
    size: 50_000,
  });
  expect(readOrders('approve fail vary')).toEqual({ ...none, approve: true, fail: true, vary: true });
  expect(readOrders('await 3 upstream 4 everything 2 failure wait3 resize 9 wait 3x')).toEqual(none);
  expect(readOrders('wait 999999999 size 999999999999 stream 99999999')).toEqual({
    ...none,
    waitMs: 3_600_000,
    deltas: 10_000,
    size: 1_000_000,
  });
});

it('fills an answer up to exactly the size asked for', () => {
  expect(fillUp('drill', 20)).toBe('drill 00001 00002 00');
  expect(fillUp('longer than that', 3)).toBe('longer than that');
});

it('cuts a text into so many pieces that join to it, never inside a character', () => {
  for (const [text, count] of [
    ['a😀bc', 2],
    ['ab', 5],
    ['', 3],
  ] as const) {
    expect(slices(text, count)).toHaveLength(count);
    expect(slices(text, count).join('')).toBe(text);
  }
  expect(slices('😀😀', 2)).toEqual(['😀', '😀']);
});

it('goes on from when its invocation began, not from when it was taken up', async () => {
  const waits: number[] = [];
  let now = 10_000;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(ms, run) {
      waits.push(ms);
      now += ms;
      queueMicrotask(run);
      return () => undefined;
    },
    every: () => () => undefined,
  };
  const said: string[] = [];
  const request: BackendRequest = {
    agent: { id: 'drill', name: 'Drill', description: '', backend: 'drill' },
    text: 'wait 3 stream 2 vary',
    number: 4,
    attachments: () => Promise.resolve([]),
    history: () => Promise.reject(new Error('drill has no use for it')),
    invoke: () => Promise.reject(new Error('drill resumes')),
    resume: () => Promise.resolve({ number: 1, startedAt: 9_000, seed: 'abc' }),
    delta: (text) => said.push(text),
    approval: () => Promise.reject(new Error('not asked for')),
  };
  const text = await drillBackend(clock).answer(request, new AbortController().signal);
  expect(text).toBe('drill #4: wait 3 stream 2 vary [abc]');
  expect(said.join('')).toBe(text);
  expect(waits).toEqual([2_000, 50, 50]);
});
