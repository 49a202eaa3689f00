import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { DataFolder, type LowDisk } from '../../src/cli/data-folder.js';
import { folderSize } from '../../src/storage/folder-size.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { systemClock, type Clock } from '../../src/time/clock.js';
import { recordingLog } from '../storage/recording-log.js';
import { scratchFolder } from '../storage/scratch.js';
import { parseExposition } from '../telemetry/exposition.js';

const open: DataFolder[] = [];
afterEach(() => {
  for (const folder of open.splice(0)) folder.close();
});

/** Time passes when the test says so; what is due then runs. */
function steppedClock(): Clock & { pass(ms: number): void } {
  let passed = 0;
  const due: { every: number; next: number; run: () => void }[] = [];
  return {
    ...systemClock,
    monotonic: () => passed,
    every(ms, run) {
      const one = { every: ms, next: ms, run };
      due.push(one);
      return () => void due.splice(due.indexOf(one), 1);
    },
    pass(ms) {
      passed += ms;
      for (const one of due) {
        if (one.next > passed) continue;
        one.next = passed + one.every;
        one.run();
      }
    },
  };
}

async function watch(dir: string, low: LowDisk = { bytes: 0, inodes: 0 }) {
  const [metrics, clock, log] = [new Metrics({ role: 'test' }), steppedClock(), recordingLog()];
  const folder = await DataFolder.watch(dir, low, { metrics, clock, log });
  open.push(folder);
  const value = async (name: string, labels: Record<string, string> = {}) =>
    parseExposition((await metrics.page()).text)
      .get(`understudy_${name}`)
      ?.samples.find((one) => Object.entries(labels).every(([key, is]) => one.labels[key] === is))?.value;
  return { folder, clock, log, value };
}

it('tells room, files and bytes by part, and puts damaged files that were put aside under quarantine', async () => {
  const dir = await scratchFolder();
  for (const part of ['documents/quarantine', 'backups', 'sessions', 'somebody', 'documents/ab/c'])
    await mkdir(join(dir, part), { recursive: true });
  const files: Record<string, number> = {
    'documents/ab/c/snapshot': 100,
    'documents/ab/d': 20,
    'documents/quarantine/x': 7,
    'backups/one.tar': 1000,
    'somebody/elses': 3,
    'replica.json': 11,
    'delivery.journal.quarantine-1700000000000': 5,
  };
  for (const [name, size] of Object.entries(files)) await writeFile(join(dir, name), Buffer.alloc(size));
  await symlink('/', join(dir, 'documents', 'link'));
  expect(Object.fromEntries(await folderSize(dir))).toEqual({
    documents: { files: 2, bytes: 120 },
    quarantine: { files: 2, bytes: 12 },
    backups: { files: 1, bytes: 1000 },
    other: { files: 1, bytes: 3 },
    files: { files: 1, bytes: 11 },
  });
  const { value, folder } = await watch(dir);
  await expect.poll(() => value('data_files', { part: 'documents' })).toBe(2);
  expect(await value('data_bytes', { part: 'backups' })).toBe(1000);
  expect(await value('disk_free_bytes')).toBeGreaterThan(0);
  expect(await value('disk_size_bytes')).toBeGreaterThan((await value('disk_free_bytes')) ?? Infinity);
  expect(await value('data_folder_usable')).toBe(1);
  expect(await value('disk_low', { what: 'bytes' })).toBe(0);
  expect(folder.notes()).toEqual([]);
  expect(folder.facts()).toMatchObject({ data_folder: { usable: true, low: false } });
});

it('a disk below the wanted room is low: a note, a metric, one line in the log, and no reason against readiness', async () => {
  const { folder, value, log, clock } = await watch(await scratchFolder(), {
    bytes: 2 ** 60,
    inodes: 2 ** 50,
  });
  expect(folder.notes().join()).toContain('MB left of');
  expect(await value('disk_low', { what: 'bytes' })).toBe(1);
  expect(await folder.check.ask()).toBeUndefined();
  clock.pass(5_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

it('a folder that goes, or that a file takes the place of, is a reason; it is told when it is back', async () => {
  const dir = join(await scratchFolder(), 'data');
  await mkdir(dir);
  const { folder, clock, value, log } = await watch(dir);
  expect(await folder.check.ask()).toBeUndefined();
  await rm(dir, { recursive: true });
  clock.pass(5_000);
  await expect.poll(() => folder.check.ask()).toBe('does not exist');
  expect(await value('data_folder_usable')).toBe(0);
  await writeFile(dir, '');
  clock.pass(5_000);
  await expect.poll(() => folder.check.ask()).toBe('is no folder');
  await rm(dir);
  await mkdir(dir);
  clock.pass(5_000);
  await expect.poll(() => folder.check.ask()).toBeUndefined();
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
});

it('a disk that does not answer any more is a reason, and hangs no page', async () => {
  const { folder, clock } = await watch(await scratchFolder());
  folder.close();
  clock.pass(29_000);
  expect(await folder.check.ask()).toBeUndefined();
  clock.pass(2_000);
  expect(await folder.check.ask()).toBe('the disk has not answered for 31 s');
});
