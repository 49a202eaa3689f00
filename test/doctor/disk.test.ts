import { randomUUID } from 'node:crypto';
import { appendFile, chmod, chown, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nodeFiles, type FileLayer } from '../../src/storage/file-layer.js';
import { lockFolder } from '../../src/storage/lock.js';
import { ownIdentity } from '../../src/storage/process-identity.js';
import { encodeLine } from '../../src/storage/journal-line.js';
import { folder } from '../node/world.js';
import { bytesOf, doctor, healthyFolder } from './world.js';

const disk = (dir: string, options: Parameters<typeof doctor>[1] = {}) =>
  doctor(dir, { only: ['disk'], ...options });

/** The machine's disk, but for one call. */
const failing = (call: keyof FileLayer, code: string): FileLayer => ({
  ...nodeFiles,
  [call]: () => Promise.reject(Object.assign(new Error(code), { code })),
});

describe('the doctor at the disk', { timeout: 60_000 }, () => {
  it('X-unchanged: finds nothing where nothing is wrong, and changes no byte', async () => {
    const dir = await healthyFolder();
    const before = await bytesOf(dir);
    const { codes, exit, of } = await doctor(dir, { offline: true });
    expect({ codes, exit }).toEqual({ codes: [], exit: 0 });
    expect(of('disk').seen).toMatch(/\d+ files, .* free, one durable write .*; no process holds it$/);
    expect(of('documents').seen).toMatch(/^5 documents of \d+ changes in \d+ chunks, .*, the biggest \w+/);
    expect(of('backups').seen).toMatch(/^1 good backup of 10 to keep, the newest of .* \(5 documents, /);
    expect(await bytesOf(dir)).toEqual(before);
  });

  it('folder-missing', async () => {
    const dir = join(await folder(), 'nowhere');
    expect(await disk(dir)).toMatchObject({ codes: ['folder-missing'], exit: 2 });
    await expect(readdir(dir)).rejects.toThrow('ENOENT');
  });

  it.each([
    ['create', 'EROFS', 'read-only'],
    ['rename', 'EIO', 'errors'],
    ['syncFolder', 'ENOSPC', 'full'],
  ] as const)(
    'folder-unwritable: %s fails with %s, and the probe leaves nothing',
    async (call, code, word) => {
      const dir = await healthyFolder();
      const before = await bytesOf(dir);
      const { codes, exit, of } = await disk(dir, { files: failing(call, code) });
      expect({ codes, exit }).toEqual({ codes: ['folder-unwritable'], exit: 1 });
      expect(of('folder-unwritable').seen).toContain(word);
      expect(await bytesOf(dir)).toEqual(before);
    },
  );

  it('folder-slow', async () => {
    const dir = await healthyFolder();
    expect(await disk(dir, { limits: { slowWriteMs: 0 } })).toMatchObject({
      codes: ['folder-slow'],
      exit: 1,
    });
  });

  it('folder-modes names what others may read', async () => {
    const dir = await healthyFolder();
    await chmod(join(dir, 'replica.json'), 0o644);
    const { codes, of } = await disk(dir);
    expect(codes).toEqual(['folder-modes']);
    expect(of('folder-modes').seen).toContain('replica.json (0644)');
    await chmod(join(dir, 'replica.json'), 0o600);
    expect((await disk(dir)).codes).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)('folder-owner, for a user who is not root', async () => {
    const dir = await healthyFolder();
    await chown(join(dir, 'replica.json'), 12_345, 12_345);
    const own = process.getuid;
    process.getuid = () => 12_346;
    try {
      expect((await disk(dir)).codes).toContain('folder-owner');
    } finally {
      process.getuid = own as () => number;
    }
  });

  it('disk-low, disk-full and inodes-low, by how much should be free', async () => {
    const dir = await healthyFolder();
    const all = Number.MAX_SAFE_INTEGER;
    expect((await disk(dir, { limits: { freeBytes: all } })).codes).toEqual(['disk-low']);
    expect((await disk(dir, { limits: { leastBytes: all } })).codes).toEqual(['disk-full']);
    expect((await disk(dir, { limits: { freeInodes: 1.1 } })).codes).toEqual(['inodes-low']);
  });

  it('lock-stale: the holder was killed', async () => {
    const dir = await healthyFolder();
    const gone = spawn(process.execPath, ['-e', '']);
    await once(gone, 'exit');
    const claim = { ...(await ownIdentity()), pid: gone.pid, nonce: randomUUID() };
    await writeFile(join(dir, 'lock'), JSON.stringify(claim), { mode: 0o600 });
    expect(await disk(dir)).toMatchObject({ codes: ['lock-stale'], exit: 0 });
  });

  it('lock-elsewhere: the holder is on another machine', async () => {
    const dir = await healthyFolder();
    const claim = { pid: 4, host: 'another-machine', boot: 'x', nonce: randomUUID() };
    await writeFile(join(dir, 'lock'), JSON.stringify(claim), { mode: 0o600 });
    expect(await disk(dir)).toMatchObject({ codes: ['lock-elsewhere'], exit: 1 });
  });

  it('lock-unreadable', async () => {
    const dir = await healthyFolder();
    await writeFile(join(dir, 'lock'), 'held by me', { mode: 0o600 });
    expect(await disk(dir)).toMatchObject({ codes: ['lock-unreadable'], exit: 1 });
  });

  it('holder-silent: a living process holds the folder and has no control socket', async () => {
    const dir = await healthyFolder();
    const lock = await lockFolder(dir);
    expect(await disk(dir)).toMatchObject({ codes: ['holder-silent'], exit: 3 });
    await lock.release();
    expect((await disk(dir)).codes).toEqual([]);
  });

  it('leftovers: also those of a doctor that was killed in the middle of its probe', async () => {
    const dir = await healthyFolder();
    await writeFile(join(dir, `.doctor-${randomUUID()}.new`), '', { mode: 0o600 });
    await writeFile(join(dir, 'documents', 'tmp', 'half'), '', { mode: 0o600 });
    const { codes, of } = await disk(dir);
    expect(codes).toEqual(['leftovers']);
    expect(of('leftovers').seen).toMatch(/^2 files .*\.doctor-/);
  });

  it('quarantine: documents and journal', async () => {
    const dir = await healthyFolder();
    await mkdir(join(dir, 'documents', 'quarantine'), { mode: 0o700 });
    await writeFile(join(dir, 'documents', 'quarantine', 'x'), 'rotten', { mode: 0o600 });
    await writeFile(join(dir, 'delivery.journal.quarantine-17'), 'x', { mode: 0o600 });
    const { codes, exit, of } = await disk(dir);
    expect({ codes, exit }).toEqual({ codes: ['quarantine'], exit: 1 });
    expect(of('quarantine').seen).toMatch(/^2 damaged files \(7 bytes\)/);
  });

  it('file-damaged', async () => {
    const dir = await healthyFolder();
    await writeFile(join(dir, 'replica.json'), '{"replica": ', { mode: 0o600 });
    expect(await disk(dir)).toMatchObject({ codes: ['file-damaged'], exit: 1 });
  });

  it('journal-damaged, journal-torn and journal-newer', async () => {
    const dir = await healthyFolder();
    const path = join(dir, 'delivery.journal');
    const lines = ['s1', 's2'].map((token) => encodeLine(JSON.stringify([{ t: 'position', token }])));
    const whole = Buffer.concat([Buffer.from('understudy-journal 1\n'), ...lines]);
    await writeFile(path, whole, { mode: 0o600 });
    expect((await disk(dir)).codes).toEqual([]);
    await appendFile(path, '00000000 12 [{"t":');
    expect(await disk(dir)).toMatchObject({ codes: ['journal-torn'], exit: 0 });
    const rotten = Buffer.from(whole);
    rotten[rotten.length - 5] = 0x21;
    await writeFile(path, rotten);
    expect(await disk(dir)).toMatchObject({ codes: ['journal-damaged'], exit: 1 });
    await writeFile(path, 'understudy-journal 7\nanother format\n');
    expect(await disk(dir)).toMatchObject({ codes: ['journal-newer'], exit: 1 });
  });

  it('check-failed: what could not be looked at is said, and the other layers are looked at', async () => {
    const dir = await healthyFolder();
    const { codes, of } = await doctor(dir, { only: ['disk', 'schema'], files: failing('list', 'EIO') });
    expect(codes).toEqual(['check-failed']);
    expect(of('check-failed')).toMatchObject({ layer: 'disk' });
    expect(of('schema').severity).toBe('ok');
  });

  it('reads a copy of a folder that was taken while its holder ran, lock and all', async () => {
    const dir = await healthyFolder();
    const copy = join(await folder(), 'copy');
    const lock = await lockFolder(dir);
    await cp(dir, copy, { recursive: true });
    await lock.release();
    await rm(dir, { recursive: true });
    expect(JSON.parse(await readFile(join(copy, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
    expect((await disk(copy)).codes).toEqual(['holder-silent']);
  });
});
