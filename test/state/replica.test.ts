import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openReplicaState } from '../../src/bot/state.js';
import { silentLog } from '../../src/index.js';
import { startHealth } from '../../src/telemetry/health.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { openTasks } from '../../src/tasks/tasks.js';
import { folder, node } from '../node/world.js';
import { settle, SimulatedClock } from '../simulation/clock.js';
import { task } from './world.js';

const EVERY = 30_000;

async function replica() {
  const dataDir = await folder();
  const one = await node([], { found: true, dataDir });
  const clock = new SimulatedClock();
  const metrics = new Metrics({ role: 'replica' });
  const deps = { clock, log: silentLog, metrics };
  const saving = await openReplicaState(one, { dataDir, autosaveMs: EVERY, archiveAfterMs: 3_600_000 }, deps);
  const health = await startHealth({
    port: 0,
    role: 'replica',
    checks: [],
    notes: () => saving.notes(),
    facts: () => ({ state: saving.facts() }),
    metrics,
    log: silentLog,
  });
  const page = async (path: string) => (await fetch(new URL(path, health.url))).text();
  const metric = async (name: string, label = ''): Promise<number | undefined> => {
    const lines = (await page('/metrics')).split('\n');
    const line = lines.find((one) => one.startsWith(`understudy_${name}{`) && one.includes(label));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
  const tasks = await openTasks(one, { dir: dataDir });
  return { dataDir, clock, saving, page, metric, tasks, close: () => health.close() };
}

it('a replica saves its state by itself and at its end, and its health pages and metrics say when', async () => {
  const { dataDir, clock, saving, page, metric, tasks, close } = await replica();
  await tasks.saveTask(task({ status: 'completed', started_at: 1000, completed_at: 3500 }));
  expect(JSON.parse(await page('/healthz'))).toMatchObject({
    facts: { state: { saved_at: null, failed: 0 } },
  });
  expect(await metric('state_last_save_timestamp_seconds')).toBeUndefined();
  await saving.load();
  expect(await metric('duration_seconds_count', 'step="state-load"')).toBe(1);
  await clock.advance(EVERY);
  while ((await metric('state_saves_total', 'outcome="saved"')) !== 1) await settle();
  expect(await metric('state_autosaves_total')).toBe(1);
  expect(await metric('duration_seconds_count', 'step="state-save"')).toBe(1);
  expect(await metric('state_last_save_timestamp_seconds')).toBeCloseTo(clock.now() / 1000, 3);
  expect(await metric('state_snapshot_bytes')).toBeGreaterThan(100);
  expect(await metric('task_completion_seconds')).toBe(2.5);
  expect(JSON.parse(await page('/healthz'))).toMatchObject({
    facts: { state: { saved_at: new Date(clock.now()).toISOString(), failed: 0, fault: null } },
  });
  await tasks.saveTask(task({ id: 'job/2' }));
  await saving.close();
  expect(await readFile(join(dataDir, 'state.json'), 'utf8')).toContain('job/2');
  expect(clock.armed).toBe(0);
  await close();
});

it('a save that failed is noted on the health pages and counted by its code until one succeeds', async () => {
  const { dataDir, clock, saving, page, metric, close } = await replica();
  // A folder in its place: what is written beside it cannot take its name.
  await mkdir(join(dataDir, 'state.json', 'in the way'), { recursive: true });
  await clock.advance(EVERY);
  while ((await metric('state_saves_total', 'outcome="failed"')) !== 1) await settle();
  const notes = () => page('/healthz').then((text) => (JSON.parse(text) as { notes?: string[] }).notes);
  expect(await notes()).toEqual([expect.stringMatching(/^the last save of the state failed: .*E[A-Z]+/)]);
  expect(
    (await page('/metrics')).match(/understudy_errors_total\{part="state",code="E[A-Z]+"/g),
  ).toHaveLength(1);
  await rm(join(dataDir, 'state.json'), { recursive: true });
  await clock.advance(EVERY);
  while ((await metric('state_saves_total', 'outcome="saved"')) !== 1) await settle();
  expect(await notes()).toBeUndefined();
  await saving.close();
  await close();
});
