import fc from 'fast-check';
import { expect, it } from 'vitest';
import { schedule } from './actions.js';
import { machineSpec } from './machine-spec.js';
import { World } from './world.js';

const RUNS = Number(process.env['SCHEDULES'] ?? 100);

it('three replicas', async () => {
  const c0 = process.cpuUsage();
  await fc.assert(
    fc.asyncProperty(
      machineSpec,
      schedule(process.env['CUTS'] !== '0'),
      async (spec, { clockErrors, actions }) => {
        const world = new World(spec, { clockErrors });
        try {
          await world.run(actions);
          await world.comeToRest();
          const owed = world.judge.owed();
          await world.carryOutAll(0);
          expect(world.carried.length).toBeGreaterThanOrEqual(owed.length);
        } finally {
          world.close();
        }
      },
    ),
    {
      numRuns: RUNS,
      ...(process.env['SEED'] && { seed: Number(process.env['SEED']) }),
      ...(process.env['P'] && { path: process.env['P'] }),
    },
  );
  const c = process.cpuUsage(c0);
  console.log('cpu ms per run', (c.user + c.system) / 1000 / RUNS);
}, 600_000);
