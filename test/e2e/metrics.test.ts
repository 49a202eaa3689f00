import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMON_LABELS, documentedMetrics, metricsFile } from '../telemetry/documented.js';
import { parseExposition, seriesOf, type Family } from '../telemetry/exposition.js';
import { Watch } from '../telemetry/firing.js';
import { tableOf, type Exported } from '../telemetry/metrics-table.js';
import { cluster } from '../world/cluster.js';
import { understudy } from '../world/command.js';
import type { Process } from '../world/process.js';
import { isEventPut } from '../world/proxy.js';
import { everyRoomIsJudged } from '../world/watch.js';

const pageOf = async (process: Process): Promise<string> => {
  const page = await process.page('/metrics');
  if (page?.status !== 200) throw new Error(`${process.name}: ${page?.status} ${page?.text}`);
  return page.text;
};
const roleOf = ({ name }: Process): string => name.replace(/-\d+$/, '');

/** Counters of `before` that `after` has with less. */
function fallen(before: Map<string, Family>, after: Map<string, Family>): string[] {
  const found: string[] = [];
  for (const { name, type, samples } of before.values()) {
    if (type === 'gauge' || type === 'summary') continue;
    const later = new Map(
      after.get(name)?.samples.map((one) => [one.name + seriesOf(one.labels), one.value]),
    );
    for (const one of samples)
      if ((later.get(one.name + seriesOf(one.labels)) ?? -1) < one.value)
        found.push(`${one.name}${seriesOf(one.labels)}`);
  }
  return found;
}

test('what real processes export is what docs/metrics.md says, is well formed, never falls, and names nobody', async () => {
  const world = await cluster({ replicas: 2 });
  const room = await world.room();
  await world.ask(room);
  await world.answered();
  const first = new Map<Process, Map<string, Family>>();
  for (const process of world.processes) first.set(process, parseExposition(await pageOf(process)));
  await world.ask(room);
  await world.answered();
  const exported = new Map<string, Exported>();
  for (const process of world.processes) {
    const page = await pageOf(process);
    const families = parseExposition(page);
    expect(fallen(first.get(process) ?? new Map(), families)).toEqual([]);
    for (const secret of [
      room,
      '!',
      '@',
      world.clusterId,
      ...Object.values(process.settings).filter((v) => v.length > 20),
    ])
      expect(page).not.toContain(secret);
    for (const { name, type, help, samples } of families.values()) {
      const known = exported.get(name) ?? {
        name,
        type,
        help,
        labels: new Set(),
        processes: new Set(),
        seen: false,
      };
      exported.set(name, known);
      known.processes.add(roleOf(process));
      known.seen ||= samples.length > 0;
      for (const label of samples.flatMap((one) => Object.keys(one.labels)))
        if (!COMMON_LABELS.includes(label) && label !== 'le') known.labels.add(label);
      expect([type, help]).toEqual([known.type, known.help]);
      expect(samples.length, name).toBeLessThan(200);
    }
  }
  const text = readFileSync(metricsFile, 'utf8');
  const table = tableOf([...exported.values()], documentedMetrics());
  const [before = '', , after = ''] = text.split(/(?<=<!-- metrics[^>]*-->\n)|(?=<!-- end of metrics -->)/);
  if (process.env['UPDATE_METRICS'] === '1') writeFileSync(metricsFile, `${before}\n${table}\n\n${after}`);
  const rows = [...documentedMetrics().values()];
  for (const one of exported.values()) {
    const row = rows.find(({ name }) => name === one.name);
    expect(row, `docs/metrics.md has no ${one.name}: UPDATE_METRICS=1 writes it`).toBeDefined();
    expect({ ...row, unit: '', normal: '' }).toEqual({
      name: one.name,
      type: one.type,
      unit: '',
      labels: one.seen ? [...one.labels].sort() : row?.labels,
      processes: [...one.processes].sort(),
      meaning: one.help,
      normal: '',
    });
  }
  expect(rows.map(({ name }) => name).filter((name) => !exported.has(name))).toEqual([]);
  await world.watch('metrics');
});

test('health pages of real processes tell storage, disk, backups and relays, and name each reason', async () => {
  // No backup by itself, which a replica otherwise makes a minute after its start.
  const world = await cluster({ replicas: 1, settings: { UNDERSTUDY_BACKUP_EVERY: '0' } });
  const [relay, platform, replica] = [world.relays[0]!, world.platforms[0]!, world.replica(0)];
  const body = async (of: Process, path: string) =>
    JSON.parse((await of.page(path))?.text ?? '{}') as unknown;
  // Right after the start something is still being written.
  const soon = { timeout: 120_000 };
  const folder = { usable: true, low: false };
  for (const path of ['/healthz', '/readyz']) {
    await expect
      .poll(() => body(replica, path), soon)
      .toMatchObject({
        version: 1,
        status: 'ok',
        role: 'replica',
        reasons: [],
        facts: {
          data_folder: { ...folder, path: replica.dir },
          storage: { state: 'idle', save_failures: 0, corrupt_chunks: 0 },
          backups: { good: 0, newest_at: null, failed: 0, fault: null },
          relays: [{ state: 'open' }],
        },
      });
    await expect
      .poll(() => body(relay, path), soon)
      .toMatchObject({
        version: 1,
        facts: { data_folder: folder, storage: { kind: 'fs', state: 'idle' } },
      });
    await expect
      .poll(() => body(platform, path), soon)
      .toMatchObject({ version: 1, facts: { data_folder: folder } });
  }
  // A file where the folder of backups should be: the backup fails, is counted and told, and the replica goes on.
  await writeFile(join(replica.dir, 'backups'), '');
  const settings = { UNDERSTUDY_CLUSTER_ID: world.clusterId };
  expect((await understudy(['backup', 'create', '--data', replica.dir], { settings })).code).toBe(1);
  expect(await replica.metric('understudy_backup_failing')).toBe(1);
  expect(await replica.metric('understudy_backup_failures_total')).toBe(1);
  await expect
    .poll(() => body(replica, '/readyz'), soon)
    .toMatchObject({
      status: 'ok',
      notes: [expect.stringMatching(/^the last backup failed: /)],
      facts: { backups: { good: 0, failed: 1, fault: expect.any(String) as string } },
    });
  await rm(join(replica.dir, 'backups'));
  const begun = Date.now() / 1000;
  expect((await understudy(['backup', 'create', '--data', replica.dir], { settings })).code).toBe(0);
  expect(await replica.metric('understudy_backup_failing')).toBe(0);
  expect(await replica.metric('understudy_backups')).toBe(1);
  expect(await replica.metric('understudy_backup_bytes')).toBeGreaterThan(1000);
  const made = (await replica.metric('understudy_backup_timestamp_seconds')) ?? 0;
  // To the second.
  expect(made).toBeGreaterThan(begun - 1);
  expect(made).toBeLessThanOrEqual(Date.now() / 1000);
  await expect.poll(() => body(replica, '/readyz'), soon).toMatchObject({ status: 'ok' });
  const after = await body(replica, '/readyz');
  expect(after).not.toHaveProperty('notes');
  expect(after).toMatchObject({ facts: { backups: { good: 1, fault: null } } });
  // Something may be written there while it goes.
  await rm(replica.dir, { recursive: true, maxRetries: 20 });
  await expect.poll(async () => (await replica.page('/readyz'))?.status, soon).toBe(503);
  await expect
    .poll(() => body(replica, '/readyz'), soon)
    .toMatchObject({
      status: 'unavailable',
      reasons: expect.arrayContaining([{ check: 'data folder', reason: 'does not exist' }]) as unknown[],
    });
  expect((await replica.page('/healthz'))?.status).toBe(200);
  await mkdir(replica.dir, { recursive: true });
});

test('alerts of a cluster are silent while all is well, and each fires when its case is made', async () => {
  const world = await cluster({
    replicas: 2,
    started: 0,
    gates: true,
    proxies: true,
    // As it is in practice: with those of the other tests a busy machine alone makes replicas silent for a moment.
    lease: '3s',
    heartbeat: '500ms',
    patience: '3s',
    agents: {
      default: 'drill',
      agents: [{ id: 'drill', name: 'Drill', backend: 'drill', description: 'Does as it is told' }],
    },
  });
  const [one, other] = [world.replica(0), world.replica(1)];
  const settings = { UNDERSTUDY_CLUSTER_ID: world.clusterId };
  // In the way of the backup that each makes by itself a minute after its start, whenever that is in this test.
  for (const { dir } of [one, other]) {
    await mkdir(dir, { mode: 0o700 });
    await writeFile(join(dir, 'backups'), '');
  }
  await Promise.all([one.start(), other.start()]);
  const room = await world.room();
  await world.ask(room);
  await world.answered();
  const watch = new Watch(() => world.processes);
  // No backup was ever made.
  await watch.until(true, 'UnderstudyBackupOld', 'replica-0');
  await watch.until(true, 'UnderstudyBackupOld', 'replica-1');
  for (const { dir } of [one, other]) await rm(join(dir, 'backups'));
  for (const { dir } of [one, other]) await understudy(['backup', 'create', '--data', dir], { settings });
  await watch.until(false, 'UnderstudyBackupOld', 'replica-1');
  await watch.untilSilent();

  await rm(join(one.dir, 'backups'), { recursive: true });
  await writeFile(join(one.dir, 'backups'), '');
  await understudy(['backup', 'create', '--data', one.dir], { settings });
  await watch.until(true, 'UnderstudyBackupFailing', 'replica-0');
  await rm(join(one.dir, 'backups'));
  await understudy(['backup', 'create', '--data', one.dir], { settings });
  await watch.until(false, 'UnderstudyBackupFailing', 'replica-0');

  // The rules say minutes; here they are asked with seconds.
  const sooner: Record<string, [string, string]> = {
    UnderstudyReplicationLag: ['> 60', '> 3'],
    UnderstudyPromptsWait: ['> 600', '> 2'],
  };
  one.cutOff();
  other.cutOff();
  await watch.until(true, 'UnderstudyRelayUnreachable', 'replica-0');
  // Nothing is answered before it was seen to wait.
  let answer = () => {};
  const seen = new Promise<void>((resolve) => (answer = resolve));
  for (const { proxy } of [one, other]) proxy.all({ kind: 'hold', until: seen }, isEventPut);
  await world.ask(room);
  await watch.until(true, 'UnderstudyReplicaAlone', 'replica-0');
  await watch.until(true, 'UnderstudyPromptsWait', 'replica-0', sooner);
  answer();
  await world.answered();
  await watch.until(true, 'UnderstudyReplicationLag', 'replica-0', sooner);
  one.rejoin();
  other.rejoin();
  for (const alert of ['RelayUnreachable', 'ReplicaAlone', 'PromptsWait', 'ReplicationLag'])
    await watch.until(false, `Understudy${alert}`, 'replica-0', sooner);

  const mend = one.proxy.all({ kind: 'cut' });
  await watch.until(true, 'UnderstudyReplicaIdle', 'replica-0');
  mend();
  await watch.until(false, 'UnderstudyReplicaIdle', 'replica-0');
  await other.kill();
  await watch.until(true, 'UnderstudyProcessDown', 'replica-1');
  await watch.until(true, 'UnderstudyReplicaAlone', 'replica-0');
  await other.start();
  await watch.until(false, 'UnderstudyProcessDown', 'replica-1');
  await watch.until(false, 'UnderstudyReplicaAlone', 'replica-0');
  await watch.untilSilent();
  await world.watch('alerts');
}, 1_200_000);

everyRoomIsJudged();
