import { describe, expect, it } from 'vitest';
import { World } from './world.js';

const SCHEDULES = Number(process.env['UNDERSTUDY_CLAIM_SCHEDULES'] ?? 400);
const FIRST = Number(process.env['UNDERSTUDY_CLAIM_SEED'] ?? 1);
const MS = 12_000;

describe('claims under everything that goes wrong', () => {
  it(`K1-model: ${SCHEDULES} schedules of kills, lost, repeated and late answers, frozen holders and relays, drifting and set clocks, and changes of the authority`, async () => {
    const sum: Record<string, number> = {};
    for (let seed = FIRST; seed < FIRST + SCHEDULES; seed += 1) {
      const world = new World(seed);
      try {
        await world.run(MS);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
      for (const [name, count] of Object.entries({ ...world.counts, ...world.judge.counts })) {
        sum[name] = (sum[name] ?? 0) + count;
      }
    }
    console.info(`claims, ${SCHEDULES} schedules: ${JSON.stringify(sum)}`);
    // Rare ones may miss a seed, and none may miss all of them: a schedule in which nothing happens shows nothing.
    for (const name of [
      'grants',
      'acts',
      'fenced',
      'consumed',
      'handOvers',
      'forced',
      'kills',
      'lost',
      'repeated',
    ]) {
      expect(sum[name], name).toBeGreaterThan(SCHEDULES / 10);
    }
  }, 600_000);
});
