import { expect, test } from 'vitest';
import { type Failures, WriteQueue } from '../../src/storage/write-queue.js';
import { settle, SimulatedClock } from '../simulation/clock.js';

test('S-restored: what was refused and waits for its next turn is not called restored by the success of others', async () => {
  const clock = new SimulatedClock();
  const restored: number[] = [];
  const refuses = new Set(['bad']);
  const disk: { busy?: Promise<void> } = {};
  const queue = new WriteQueue<number>({
    clock,
    commit: async (batch): Promise<Failures> => {
      await disk.busy;
      return new Map(
        [...batch.keys()].filter((id) => refuses.has(id)).map((id) => [id, new Error('refused')]),
      );
    },
    same: (one, other) => one === other,
    onFailure: () => {},
    onRestored: (attempts) => restored.push(attempts),
  });
  const saved = queue.put('bad', 1);
  await settle(2);
  expect(queue.failing).toBe(true);
  let letGo: (() => void) | undefined;
  disk.busy = new Promise((resolve) => {
    letGo = resolve;
  });
  const good = queue.put('good', 1);
  await settle(2);
  // The other's turn comes while this one is on its way.
  await clock.advance(100);
  letGo?.();
  await good;
  expect([queue.failing, restored]).toEqual([true, []]);
  refuses.clear();
  await clock.advance(1000);
  await saved;
  expect([queue.failing, restored.length]).toEqual([false, 1]);
});
