import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Schedule, schedule } from './actions.js';
import { Counts } from './counts.js';
import { type MachineSpec, machineSpec } from './machine-spec.js';
import { World } from './world.js';

const env = (name: string): string | undefined => process.env[`SCHEDULES_${name}`] || undefined;
/** A schedule takes a tenth of a second; one that stands still is a failure of its own, milliseconds. */
const STUCK_MS = 30_000;
/** What a failure is made smaller for, milliseconds. */
const SHRINK_MS = 90_000;
const LIMIT_MS = 1_800_000;

/** Of the schedules of a test run: two files, which run side by side. What they must at least be about. */
export const HALF = {
  runs: 500,
  atLeast: {
    events: 1800,
    kills: 250,
    partitions: 60,
    cuts: 250,
    doubleCutsApart: 20,
    timersFired: 35,
    lateEvents: 800,
    savedFromCuts: 300,
  },
};

/** One test over random schedules; `share` gives each file that has one a seed of its own. */
export function testSchedules(
  share: number,
  { runs, atLeast }: { runs: number; atLeast: typeof HALF.atLeast },
): void {
  const seed = Number(env('SEED') ?? Date.now() % 1_000_000_000) + (env('SEED') === undefined ? share : 0);
  const path = env('PATH');
  const numRuns = Number(env('RUNS') ?? runs);
  it(
    `A1-A6 in ${numRuns} random schedules of seed ${seed}: three replicas come to where the oracle says, and nothing is lost`,
    async () => {
      const counts = new Counts();
      let failedAt: number | undefined;
      const one = async (spec: MachineSpec, what: Schedule): Promise<void> => {
        // To make a failure smaller is worth some time, not the whole evening.
        if (failedAt !== undefined && performance.now() - failedAt > SHRINK_MS) fc.pre(false);
        try {
          await runSchedule(spec, what, failedAt === undefined ? counts : undefined);
        } catch (error) {
          failedAt ??= performance.now();
          throw error;
        }
      };
      const property = fc.asyncProperty(machineSpec, schedule, one);
      const details = await fc.check(property, {
        seed,
        numRuns,
        timeout: STUCK_MS,
        ...(path !== undefined && { path }),
      });
      process.stdout.write(`seed ${seed}: ${String(counts)}\n`);
      if (details.failed) {
        const again = `npm run schedules -- --seed ${seed} --path ${details.counterexamplePath ?? path ?? ''} --runs 1`;
        throw new Error(
          `replay by: ${again}\n(or the whole run: npm run schedules -- --seed ${seed} --runs ${numRuns})\n${fc.stringify(details.counterexample)}`,
          { cause: details.errorInstance },
        );
      }
      if (env('SEED') === undefined && env('RUNS') === undefined) {
        for (const [what, count] of Object.entries(atLeast)) {
          expect(
            counts[what as keyof typeof HALF.atLeast],
            `${what} in ${numRuns} schedules`,
          ).toBeGreaterThanOrEqual(count);
        }
      }
    },
    LIMIT_MS,
  );
}

/** From the first start to the last effect that is owed. */
async function runSchedule(spec: MachineSpec, what: Schedule, counts: Counts | undefined): Promise<void> {
  const world = new World(spec, what);
  try {
    await world.run(what.actions);
    await world.comeToRest();
    const owed = world.judge.owed();
    const carried = await world.carryOutAll(0);
    expect(carried, 'what was owed is carried out').toEqual(expect.arrayContaining(owed));
    expect(new Set(carried).size, 'and each effect once').toBe(carried.length);
    counts?.add(world);
  } finally {
    world.close();
  }
}
