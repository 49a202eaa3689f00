import fc from 'fast-check';
import { expect, it } from 'vitest';
import { schedule, type Schedule } from './actions.js';
import { World } from './world.js';

const env = (name: string): string | undefined => process.env[`SCHEDULES_${name}`] || undefined;
/** A schedule takes some hundredths of a second; one that stands still is a failure of its own, milliseconds. */
const STUCK_MS = 30_000;
const LIMIT_MS = 1_800_000;
const RUNS = 300;
/** What they must at least be about. */
const AT_LEAST = {
  ended: 450,
  heardOfEnds: 3000,
  kills: 150,
  windowsGone: 600,
  mustStand: 90,
  twice: 15,
  full: 6,
};

it(
  'random schedules of three replicas and a relay: no consumed entry is seen again where that was heard of, no live durable entry is lost, all agree at rest',
  async () => {
    const seed = Number(env('SEED') ?? Date.now() % 1_000_000_000);
    const path = env('PATH');
    const totals: Record<string, number> = {};
    const details = await fc.check(
      fc.asyncProperty(schedule, async (what: Schedule) => {
        const world = new World(what);
        try {
          await world.run(what.actions);
          await world.comeToRest();
        } finally {
          world.close();
        }
        for (const [name, count] of Object.entries(world.counts)) totals[name] = (totals[name] ?? 0) + count;
      }),
      { seed, numRuns: Number(env('RUNS') ?? RUNS), timeout: STUCK_MS, ...(path !== undefined && { path }) },
    );
    process.stdout.write(`seed ${seed}: ${JSON.stringify(totals)}\n`);
    if (details.failed) {
      const again = `SCHEDULES_SEED=${seed} SCHEDULES_PATH=${details.counterexamplePath ?? ''} SCHEDULES_RUNS=1`;
      throw new Error(`replay with ${again}\n${fc.stringify(details.counterexample)}`, {
        cause: details.errorInstance,
      });
    }
    if (env('SEED') !== undefined || env('RUNS') !== undefined) return;
    for (const [what, count] of Object.entries(AT_LEAST)) {
      expect(totals[what], `${what} in ${RUNS} schedules`).toBeGreaterThanOrEqual(count);
    }
  },
  LIMIT_MS,
);
