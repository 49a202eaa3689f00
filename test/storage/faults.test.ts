import { spawnSync } from 'node:child_process';
import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { openCounts } from './children/counts.js';
import { faultyFiles, type Call } from './faulty-files.js';
import { scratchFolder } from './scratch.js';

/** Of the system, where it has them. */
const [MOUNT, UMOUNT, UNSHARE] = ['mount', 'umount', 'unshare'];

const WRITES = new Set<Call>([
  ...(['create', 'append', 'rename', 'link', 'remove', 'makeFolder', 'syncFolder'] as const),
  ...(['file.write', 'file.sync'] as const),
]);

const key = (name: string): string[] => ['abcdef', 'value', name];
const textOf = (data: Uint8Array | undefined): string | undefined => data && Buffer.from(data).toString();

const open: DurableStorage[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((storage) => storage.close(AbortSignal.timeout(30_000))));
});

function storageIn(dir: string, more: Partial<ConstructorParameters<typeof DurableStorage>[0]> = {}) {
  const storage = new DurableStorage({ dir, log: silentLog, ...more });
  open.push(storage);
  return storage;
}

/** Old values, and then what a failing disk must not lose, acknowledge or keep from a reader. */
async function outlives(
  dir: string,
  fault: {
    begin: () => Promise<void>;
    end: () => Promise<void>;
    code: string;
    /** What a full disk may have room for. */
    small?: 'refused' | 'taken';
  },
  files = faultyFiles(() => undefined),
): Promise<void> {
  const events: StorageEvent[] = [];
  const storage = storageIn(dir, { files, onEvent: (event) => events.push(event) });
  for (const name of ['a', 'b', 'gone']) await storage.save(key(name), Buffer.from(`old ${name}`));
  await storage.save(['doc', 'snapshot', 'heads'], A.save(A.from({ n: 1 })));
  await fault.begin();
  const acknowledged: string[] = [];
  const write = (name: string, done: Promise<void>) => done.then(() => acknowledged.push(name));
  const writes = [
    write('large', storage.save(key('b'), Buffer.from('x'.repeat(40_000)))),
    write('small', storage.save(key('new'), Buffer.from('new'))),
    write('small', storage.remove(key('gone'))),
  ];
  await vi.waitFor(() => expect(events.length).toBeGreaterThanOrEqual(2), 30_000);
  expect(events[0]).toMatchObject({ type: 'state:save-error', code: fault.code });
  if (fault.small === 'taken') expect(acknowledged).not.toContain('large');
  else expect(acknowledged).toEqual([]);
  expect(storage.status()).toMatchObject({ state: 'failing', pendingWrites: 3 - acknowledged.length });
  // It serves: what is stored, and what waits as if it were.
  expect(textOf(await storage.load(key('a')))).toBe('old a');
  expect(await storage.load(key('b'))).toHaveLength(40_000);
  expect(await storage.load(key('gone'))).toBeUndefined();
  expect((await storage.loadRange(['abcdef'])).map(({ key: [, , name] }) => name)).toEqual(['a', 'b', 'new']);
  expect(await storage.loadRange(['doc'])).toHaveLength(1);
  await fault.end();
  await Promise.all(writes);
  expect(events.at(-1)).toMatchObject({ type: 'state:save-restored' });
  expect(storage.status()).toMatchObject({ state: 'idle', pendingWrites: 0, pendingBytes: 0 });
  const later = storageIn(dir);
  expect(
    (await later.loadRange(['abcdef'])).map(({ key: [, , name], data }) => [name, data?.length]),
  ).toEqual([
    ['a', 5],
    ['b', 40_000],
    ['new', 3],
  ]);
  expect(later.status().recovered).toBe(0);
}

describe('every write refused, injected at the file layer', () => {
  for (const code of ['ENOSPC', 'EROFS', 'EACCES', 'EMFILE', 'EIO', 'EDQUOT']) {
    it(`S-fault: ${code}: it serves, loses nothing, acknowledges nothing, and recovers by itself`, async () => {
      let isBroken = false;
      const files = faultyFiles((call) => (isBroken && WRITES.has(call) ? code : undefined));
      const set = (to: boolean) => () => {
        isBroken = to;
        return Promise.resolve();
      };
      await outlives(await scratchFolder(), { begin: set(true), end: set(false), code }, files);
    });
  }

  it('a damaged chunk on a disk that takes no writes holds up no reader', async () => {
    for (const code of ['EROFS', 'EIO', 'ENOSPC']) {
      const dir = await scratchFolder();
      const whole = A.save(A.from({ n: 1 }));
      await storageIn(dir).save(['doc', 'snapshot', 'good'], whole);
      await writeFile(join(dir, 'do', 'c', 'snapshot', 'torn'), whole.subarray(5));
      const events: StorageEvent[] = [];
      const files = faultyFiles((call) => (WRITES.has(call) && call !== 'makeFolder' ? code : undefined));
      const storage = storageIn(dir, { files, onEvent: (event) => events.push(event) });
      expect((await storage.loadRange(['doc'])).map(({ key: [, , name] }) => name)).toEqual(['good']);
      expect(events).toMatchObject([{ type: 'state:recovered', quarantined: undefined }]);
    }
  });

  it('too many open files: what waits can be read, and what cannot be read is an error, not an absence', async () => {
    const dir = await scratchFolder();
    await storageIn(dir).save(key('a'), Buffer.from('a'));
    let isBroken = false;
    const files = faultyFiles((call) =>
      isBroken && (WRITES.has(call) || call === 'read' || call === 'list') ? 'EMFILE' : undefined,
    );
    const storage = storageIn(dir, { files });
    await storage.open();
    isBroken = true;
    const saved = storage.save(key('b'), Buffer.from('b'));
    expect(textOf(await storage.load(key('b')))).toBe('b');
    await expect(storage.load(key('a'))).rejects.toMatchObject({ code: 'EMFILE' });
    await expect(storage.loadRange(['abcdef'])).rejects.toMatchObject({ code: 'EMFILE' });
    isBroken = false;
    await saved;
    expect(await storage.loadRange(['abcdef'])).toHaveLength(2);
  });

  it('a disk whose flush takes its time: readers do not wait, nothing is acknowledged early, and writes share', async () => {
    const dir = await scratchFolder();
    let release = (): void => {};
    let flushes = 0;
    let isSlow = false;
    const files = faultyFiles(() => undefined);
    const { syncFolder } = files;
    files.syncFolder = async (path) => {
      flushes += 1;
      if (isSlow) await new Promise<void>((resolve) => (release = resolve));
      await syncFolder(path);
    };
    const storage = storageIn(dir, { files });
    await storage.save(key('old'), Buffer.from('old'));
    [isSlow, flushes] = [true, 0];
    let acknowledged = 0;
    const first = storage.save(key('first'), Buffer.from('first')).then(() => (acknowledged += 1));
    await vi.waitFor(() => expect(flushes).toBe(1), 30_000);
    const rest = Array.from({ length: 200 }, async (_, n) => {
      await storage.save(key(`n${n}`), Buffer.from(`${n}`));
      acknowledged += 1;
    });
    expect(textOf(await storage.load(key('old')))).toBe('old');
    expect(textOf(await storage.load(key('n199')))).toBe('199');
    expect(await storage.loadRange(['abcdef'])).toHaveLength(202);
    expect(storage.status()).toMatchObject({ state: 'writing', pendingWrites: 201 });
    expect(acknowledged).toBe(0);
    isSlow = false;
    release();
    await Promise.all([first, ...rest]);
    // Two folders for the first, two for all the others together.
    expect(flushes).toBe(4);
  });
});

/** A file system of 2 MB, mounted. */
async function mounted(): Promise<{ dir: string; remount: (how: 'ro' | 'rw') => void }> {
  const dir = await scratchFolder();
  const done = spawnSync(MOUNT, ['-t', 'tmpfs', '-o', 'size=2m', 'understudy-test', dir]);
  if (done.status !== 0) throw new Error(`mount: ${done.stderr?.toString()}`);
  mounts.push(dir);
  return {
    dir,
    remount: (how) => {
      const again = spawnSync(MOUNT, ['-o', `remount,${how}`, dir]);
      if (again.status !== 0) throw new Error(`remount: ${again.stderr?.toString()}`);
    },
  };
}

const mounts: string[] = [];
afterEach(() => {
  for (const dir of mounts.splice(0)) spawnSync(UMOUNT, ['-l', dir]);
});

function whyNotMount(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const tried = spawnSync(UNSHARE, ['-m', MOUNT, '-t', 'tmpfs', 'none', '/mnt']);
  if (tried.error) return 'no unshare';
  return tried.status === 0 ? undefined : 'not allowed here';
}

const why = whyNotMount();

describe.skipIf(why !== undefined)(
  `on a mounted file system of 2 MB${why === undefined ? '' : ` (skipped: ${why})`}`,
  () => {
    it('filled by somebody else, and emptied again', async () => {
      const { dir } = await mounted();
      const filler = join(dir, 'filler');
      await outlives(join(dir, 'data'), {
        code: 'ENOSPC',
        small: 'taken',
        begin: async () => {
          const { bavail, bsize } = await statfs(dir);
          await writeFile(filler, Buffer.alloc(bavail * bsize));
        },
        end: () => rm(filler),
      });
    });

    it('made read-only, and writable again', async () => {
      const { dir, remount } = await mounted();
      await outlives(join(dir, 'data'), {
        code: 'EROFS',
        begin: () => Promise.resolve(remount('ro')),
        end: () => Promise.resolve(remount('rw')),
      });
    });

    it('full while a journal is written: refused, and then all of it is there', async () => {
      const { dir } = await mounted();
      const file = join(dir, 'delivery.journal');
      const journal = await openCounts(file, { log: silentLog });
      await journal.append([{ name: 'a', n: 1 }]);
      const filler = join(dir, 'filler');
      const { bavail, bsize } = await statfs(dir);
      await writeFile(filler, Buffer.alloc(bavail * bsize));
      const large = Array.from({ length: 500 }, (_, n) => ({ name: `large ${n} ${'x'.repeat(50)}`, n: 1 }));
      await expect(journal.append(large)).rejects.toMatchObject({ code: 'unwritable' });
      await rm(filler);
      await journal.append([{ name: 'a', n: 2 }]);
      await journal.close();
      const later = await openCounts(file, { log: silentLog });
      expect(later.state.get('a')).toBe(2);
      expect(later.state.size).toBe(501);
      await later.close();
      expect((await stat(file)).size).toBeGreaterThan(500);
    });

    it('read-only at the start: it says so, and opens when it is writable', async () => {
      const { dir, remount } = await mounted();
      await mkdir(join(dir, 'data'));
      remount('ro');
      const storage = storageIn(join(dir, 'data'));
      await expect(storage.open()).rejects.toMatchObject({ code: 'EROFS' });
      const saved = storage.save(key('a'), Buffer.from('a'));
      await vi.waitFor(() => expect(storage.status().state).toBe('failing'), 30_000);
      remount('rw');
      await saved;
      expect(textOf(await storage.load(key('a')))).toBe('a');
    });
  },
);
