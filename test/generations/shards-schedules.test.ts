import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Schedule, schedule } from './shards-actions.js';
import { ShardsWorld } from './shards-world.js';

const env = (name: string): string | undefined => process.env[`SCHEDULES_${name}`] || undefined;
const RUNS = 50;
/** What these schedules must at least be about. */
const AT_LEAST = { events: 750, moved: 45, cuts: 140, kills: 125, late: 225 };
/** A schedule takes a quarter of a second; one that stands still is a failure of its own, milliseconds. */
const STUCK_MS = 30_000;
/** What a failure is made smaller for, milliseconds. */
const SHRINK_MS = 60_000;

const seed = Number(env('SEED') ?? Date.now() % 1_000_000_000);
const path = env('PATH');
const numRuns = Number(env('RUNS') ?? RUNS);

it(`A6 in ${numRuns} random schedules of seed ${seed} over several shards every event counts once`, async () => {
  const counts: Record<string, number> = {};
  let failedAt: number | undefined;
  const one = async (what: Schedule): Promise<void> => {
    if (failedAt !== undefined && performance.now() - failedAt > SHRINK_MS) fc.pre(false);
    try {
      const happened = await runSchedule(what);
      if (failedAt !== undefined) return;
      for (const [name, count] of Object.entries(happened)) counts[name] = (counts[name] ?? 0) + count;
    } catch (error) {
      failedAt ??= performance.now();
      throw error;
    }
  };
  const details = await fc.check(fc.asyncProperty(schedule, one), {
    seed,
    numRuns,
    timeout: STUCK_MS,
    ...(path !== undefined && { path }),
  });
  process.stdout.write(`seed ${seed}: ${JSON.stringify({ schedules: details.numRuns, ...counts })}\n`);
  if (details.failed) {
    const file = 'test/generations/shards-schedules.test.ts';
    const again = `SCHEDULES_SEED=${seed} SCHEDULES_PATH=${details.counterexamplePath ?? path ?? ''} SCHEDULES_RUNS=1 npx vitest run ${file}`;
    throw new Error(`replay by: ${again}\n${fc.stringify(details.counterexample)}`, {
      cause: details.errorInstance,
    });
  }
  if (env('SEED') !== undefined || env('RUNS') !== undefined) return;
  for (const [name, least] of Object.entries(AT_LEAST)) {
    expect(counts[name], `${name} in ${numRuns} schedules`).toBeGreaterThanOrEqual(least);
  }
}, 900_000);

async function runSchedule(what: Schedule): Promise<ShardsWorld['counts']> {
  const world = new ShardsWorld(what);
  try {
    await world.run(what.actions);
    await world.comeToRest();
    await world.standFast();
    return world.counts;
  } finally {
    world.close();
  }
}
