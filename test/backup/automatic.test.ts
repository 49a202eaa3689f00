import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { BackupFile } from '../../src/backup/backup-file.js';
import { BackupFolder } from '../../src/backup/backup-folder.js';
import { BackupSchedule } from '../../src/backup/schedule.js';
import { NodeBackups } from '../../src/node/backup/node-backups.js';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { silentLog, systemClock, type Clock } from '../../src/index.js';
import { CLUSTER, eventually, folder, node } from '../node/world.js';
import { errno } from '../storage/faulty-files.js';
import { recordingLog } from '../storage/recording-log.js';
import { fill, names } from './world.js';

const { create } = nodeFiles;
afterEach(() => void (nodeFiles.create = create));

/** Every file of a backup is refused with this error after so many of its writes. */
function failBackups(code: string, writes: number): void {
  nodeFiles.create = async (path) => {
    const file = await create(path);
    if (!path.includes(`${join('backups', '')}`)) return file;
    let left = writes;
    return {
      write: async (bytes) => {
        left -= 1;
        if (left >= 0) return file.write(bytes);
        await file.write(bytes.subarray(0, bytes.length >> 1));
        throw errno(code, path);
      },
      sync: () => file.sync(),
      close: () => file.close(),
    };
  };
}

describe('backups by themselves', () => {
  it('are made at the interval, and the newest ones kept', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true, backups: { everyMs: 50, keep: 3 } });
    await fill(one, 0, 3);
    await eventually(() => one.backups.status().pruned >= 2);
    await eventually(async () => (await readdir(join(dataDir, 'backups'))).length >= 3);
    await one.close();
    const left = await new BackupFolder(join(dataDir, 'backups')).list();
    expect(left.map(({ state }) => state)).toEqual(['good', 'good', 'good']);
    expect(one.backups.status()).toMatchObject({ state: 'idle', good: 3, failed: 0, fault: undefined });
  });

  it('are never made with an interval of 0', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true, backups: { everyMs: 0 } });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(one.backups.status()).toMatchObject({ made: 0, failed: 0 });
    expect(await readdir(dataDir)).not.toContain('backups');
  });

  it.each(['ENOSPC', 'EIO', 'EROFS'])(
    'that fail with %s are counted and logged, leave nothing behind, disturb no write, and are tried again',
    async (code) => {
      const dataDir = await folder();
      const log = recordingLog();
      const one = await node([], { dataDir, found: true, log, backups: { everyMs: 50 } });
      await fill(one, 0, 3);
      const good = await one.backups.create('asked');
      failBackups(code, 2);
      await eventually(() => one.backups.status().failed >= 3);
      expect(one.backups.status().fault).toContain(code);
      expect(log.lines).toEqual(
        expect.arrayContaining([expect.objectContaining({ level: 'error', reason: 'interval' })]),
      );
      await fill(one, 3, 6);
      expect(names(one)).toHaveLength(6);
      expect(one.storage()).toMatchObject({ state: 'idle', saveErrors: 0 });
      nodeFiles.create = create;
      const { made } = one.backups.status();
      await eventually(() => one.backups.status().made > made);
      expect(one.backups.status().fault).toBeUndefined();
      await one.close();
      const files = await readdir(join(dataDir, 'backups'));
      expect(files.filter((name) => !name.endsWith('.tar'))).toEqual([]);
      expect(files).toContain(good.name);
    },
  );

  it('that cannot even be listed are counted, and made as soon as they can be', async () => {
    const dataDir = await folder();
    await writeFile(join(dataDir, 'backups'), 'a file in the way');
    const one = await node([], { dataDir, found: true, backups: { everyMs: 50 } });
    await eventually(() => one.backups.status().failed >= 2);
    await fill(one, 0, 1);
    await rm(join(dataDir, 'backups'));
    await eventually(() => one.backups.status().good >= 1);
  });

  it('are not begun on a disk with too little room: what is left is for the documents', async () => {
    const dataDir = await folder();
    const backups = new NodeBackups({
      dataDir,
      clusterId: CLUSTER,
      replica: 'one',
      documents: { all: () => [], get: () => undefined },
      stored: { ids: () => Promise.resolve([]), chunks: () => Promise.resolve([]) },
      options: {},
      changed: () => {},
      clock: systemClock,
      log: silentLog,
      free: () => Promise.resolve(10 * 2 ** 20),
    });
    await expect(backups.create('asked')).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringContaining('10 MB left'),
    });
    expect(await readdir(dataDir)).toEqual([]);
  });

  it('are broken off by closing, with nothing half made', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true });
    await fill(one, 0, 50);
    const making = one.backups.create('asked');
    const [outcome] = await Promise.allSettled([making, one.close()]);
    const files = await readdir(join(dataDir, 'backups')).catch(() => []);
    expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(files.length).toBe(outcome.status === 'fulfilled' ? 1 : 0);
  });

  it('asked for twice at once: the second is of the time after it was asked for', async () => {
    const one = await node([], { found: true });
    const first = one.backups.create('asked');
    await fill(one, 0, 1);
    const [second, third] = [one.backups.create('migration'), one.backups.create('asked')];
    expect((await second).path).toBe((await third).path);
    expect((await first).path).not.toBe((await second).path);
    const file = await BackupFile.open((await second).path);
    const heads = Object.fromEntries(file.manifest.documents.map((each) => [each.id, each.heads]));
    expect(heads).toEqual(Object.fromEntries(one.heads().map((each) => [each.id, each.heads])));
    await file.close();
  });

  it('B-queue: asked for in the moment between one and the next, there are never two at once', async () => {
    const one = await node([], { found: true });
    const first = one.backups.create('asked');
    const second = one.backups.create('asked');
    const third = first.then(() => one.backups.create('asked'));
    expect((await third).path).toBe((await second).path);
    expect(one.backups.status().made).toBe(2);
  });
});

describe('keeping the newest', () => {
  it('B-prune: removes no good one for a damaged one, nothing foreign, and never the one that was just made', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true, backups: { everyMs: 0, keep: 2 } });
    const dir = join(dataDir, 'backups');
    const first = await one.backups.create('asked');
    const second = await one.backups.create('asked');
    await writeFile(second.path, 'damaged');
    await writeFile(join(dir, 'mine.tar'), 'kept by hand');
    const third = await one.backups.create('asked');
    // The damaged one is newer than a good one that is kept.
    expect((await readdir(dir)).sort()).toEqual([first.name, second.name, third.name, 'mine.tar'].sort());
    const fourth = await one.backups.create('asked');
    expect((await readdir(dir)).sort()).toEqual([third.name, fourth.name, 'mine.tar'].sort());

    const folderOf = new BackupFolder(dir);
    await folderOf.prune(1, third.path);
    expect((await readdir(dir)).sort()).toEqual([third.name, 'mine.tar'].sort());
    await rm(dir, { recursive: true });
    expect(await folderOf.list()).toEqual([]);
  });
});

describe('the schedule', () => {
  /** A clock that only a test moves. */
  function stillClock(): { clock: Clock; pass: (ms: number) => Promise<void> } {
    let [time, look] = [0, (): void => {}];
    const clock: Clock = {
      now: () => 1_000_000_000 + time,
      monotonic: () => time,
      after: () => () => {},
      every: (_, run) => {
        look = run;
        return () => {};
      },
    };
    const pass = async (ms: number): Promise<void> => {
      for (const end = time + ms; time < end;) {
        time += 60_000;
        look();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    return { clock, pass };
  }

  it('waits for the age of the newest, also over a restart, and doubles its patience with what fails', async () => {
    const { clock, pass } = stillClock();
    let newest: number | undefined = clock.now() - 20 * 3600_000;
    const made: number[] = [];
    let fails = false;
    const schedule = new BackupSchedule({
      everyMs: 24 * 3600_000,
      newest: () => Promise.resolve(newest),
      make: () => {
        made.push(clock.monotonic() / 60_000);
        if (!fails) newest = clock.now();
        return Promise.resolve(!fails);
      },
      clock,
    });
    await pass(3 * 3600_000);
    expect(made).toEqual([]);
    await pass(2 * 3600_000);
    expect(made).toEqual([240]);
    fails = true;
    newest = undefined;
    await pass(200 * 60_000);
    const waits = made.slice(1).map((at, index) => at - (made[index] ?? 0));
    expect(waits.slice(1)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    fails = false;
    await pass(24 * 3600_000);
    expect(made).toHaveLength(11);
    await schedule.stop();
  });
});
