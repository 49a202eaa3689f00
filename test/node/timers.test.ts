import { expect, it } from 'vitest';
import { systemClock } from '../../src/index.js';
import { guardedClock } from '../../src/time/guarded-clock.js';

it('what a timer runs ends no process when it throws, and what comes again comes again', async () => {
  const failures: unknown[] = [];
  const clock = guardedClock(systemClock, (error) => failures.push(error));
  const rounds: number[] = [];
  const stop = clock.every(5, () => {
    rounds.push(rounds.length);
    throw new Error(`round ${rounds.length}`);
  });
  clock.after(1, () => {
    throw new Error('once');
  });
  await expect.poll(() => rounds.length, { timeout: 30_000 }).toBeGreaterThan(2);
  stop();
  expect(failures).toContainEqual(new Error('once'));
  expect(failures).toContainEqual(new Error('round 2'));
  let isCancelled = true;
  clock.after(1, () => (isCancelled = false))();
  await new Promise((resolve) => clock.after(5, () => resolve(undefined)));
  expect(isCancelled).toBe(true);
});
