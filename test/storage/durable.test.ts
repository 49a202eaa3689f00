import { chmod, mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Repo } from '@automerge/automerge-repo';
import type { DocumentId, StorageAdapterInterface } from '@automerge/automerge-repo';
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs';
import { describe, expect, it, vi } from 'vitest';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import { faultyFiles } from './faulty-files.js';
import type { Call } from './faulty-files.js';
import { recordingLog } from './recording-log.js';
import { scratchFolder } from './scratch.js';

interface Note {
  text: string;
  more?: string[];
}

async function allFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function openStorage(dir: string, more: Partial<ConstructorParameters<typeof DurableStorage>[0]> = {}) {
  return new DurableStorage({ dir, log: silentLog, ...more });
}

/** A document with a snapshot over 1 KiB and several incremental chunks. */
async function writeNotes(dir: string, changes = 3): Promise<DocumentId> {
  const repo = new Repo({ storage: openStorage(dir) });
  const handle = repo.create<Note>({ text: 'a'.repeat(64), more: [] });
  handle.change((doc) => {
    doc.more = Array.from({ length: 200 }, () => Math.random().toString(36));
  });
  await repo.flush();
  for (let i = 0; i < changes; i += 1) {
    handle.change((doc) => doc.more?.push(`incremental ${i}`));
    await repo.flush([handle.documentId]);
  }
  return handle.documentId;
}

async function readNote(storage: StorageAdapterInterface, id: DocumentId): Promise<Note> {
  return (await new Repo({ storage }).find<Note>(id)).doc();
}

describe('the files of DurableStorage', () => {
  it('can be read by the stock NodeFS adapter, and read what that one wrote', async () => {
    const dir = await scratchFolder();
    const id = await writeNotes(dir);
    const expected = await readNote(openStorage(dir), id);
    expect(expected.more?.slice(-1)).toEqual(['incremental 2']);
    expect(await readNote(new NodeFSStorageAdapter(dir), id)).toEqual(expected);

    const stockDir = await scratchFolder();
    const stock = new Repo({ storage: new NodeFSStorageAdapter(stockDir) });
    const handle = stock.create<Note>({ text: 'from stock' });
    await stock.flush();
    expect(await readNote(openStorage(stockDir), handle.documentId)).toEqual({ text: 'from stock' });
  });

  it('are for their owner only', async () => {
    const dir = join(await scratchFolder(), 'data');
    await writeNotes(dir);
    for (const file of await allFiles(dir)) expect((await stat(file)).mode & 0o777, file).toBe(0o600);
    for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      expect((await stat(join(entry.parentPath, entry.name))).mode & 0o777, entry.name).toBe(0o700);
    }
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
  });

  it('stay in their folder whatever the key', async () => {
    const parent = await scratchFolder();
    const storage = openStorage(join(parent, 'data'));
    const keys = [
      ['../../x', 'sync-state', '../../../y'],
      ['..', '..', '..'],
      ['a'],
      ['ab'],
      ['doc', 'sync-state', '/etc/passwd'],
      ['doc', 'sync-state', 'x'.repeat(5000)],
      ['doc', 'sync-state', 'x'.repeat(5001)],
      ['checksums', 'x', 'y'],
      ['tmp', 'x', 'y'],
    ];
    for (const [i, key] of keys.entries()) await storage.save(key, Uint8Array.of(i));
    expect(await readdir(parent)).toEqual(['data']);
    const again = openStorage(join(parent, 'data'));
    for (const [i, key] of keys.entries())
      expect(await again.load(key), key.join()).toEqual(Uint8Array.of(i));
    const range = await again.loadRange(['doc', 'sync-state']);
    expect(new Set(range.map(({ key }) => key[2]?.length))).toEqual(new Set([11, 5000, 5001]));
  });

  it('are written in batches that share the flush of a folder', async () => {
    const dir = await scratchFolder();
    const calls: Call[] = [];
    const storage = openStorage(dir, {
      files: faultyFiles(
        () => undefined,
        (call) => calls.push(call),
      ),
    });
    await storage.save(['abcdef', 'value', 'first'], Uint8Array.of(0));
    calls.length = 0;
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => storage.save(['abcdef', 'value', `v${i}`], Uint8Array.of(i))),
    );
    expect(calls.filter((call) => call === 'file.sync').length).toBe(100);
    expect(calls.filter((call) => call === 'syncFolder').length).toBe(2);
  });

  it('are not kept in memory once written', async () => {
    const dir = await scratchFolder();
    const storage = openStorage(dir);
    const key = ['abcdef', 'value', 'x'];
    await storage.save(key, Uint8Array.of(1));
    expect(storage.status()).toMatchObject({ state: 'idle', pendingWrites: 0, pendingBytes: 0, saved: 1 });
    const [file] = (await allFiles(dir)).filter((path) => path.endsWith('value/x'));
    await unlink(file ?? '');
    expect(await storage.load(key)).toBeUndefined();
  });
});

describe('a corrupt file', () => {
  /** Each kind of damage that a disk or a kill of another writer leaves. */
  const damages: [string, (bytes: Buffer) => Buffer][] = [
    ['emptied', () => Buffer.alloc(0)],
    ['cut short', (bytes) => bytes.subarray(0, bytes.length - 3)],
    ['filled with zeros', (bytes) => Buffer.alloc(bytes.length)],
    [
      'one bit off',
      (bytes) => {
        const copy = Buffer.from(bytes);
        copy.writeUInt8(copy.readUInt8(copy.length >> 1) ^ 1, copy.length >> 1);
        return copy;
      },
    ],
    ['with something behind it', (bytes) => Buffer.concat([bytes, Buffer.from([1, 2, 3])])],
  ];

  for (const [damage, spoil] of damages) {
    it(`${damage}: an incremental goes to quarantine and the rest of the document stays`, async () => {
      const dir = await scratchFolder();
      const id = await writeNotes(dir, 1);
      const before = await readNote(openStorage(dir), id);
      const [chunk] = (await allFiles(dir)).filter((path) => path.includes('/incremental/'));
      await writeFile(chunk ?? '', spoil(await readFile(chunk ?? '')));

      const events: StorageEvent[] = [];
      const log = recordingLog();
      const storage = openStorage(dir, { log, onEvent: (event) => events.push(event) });
      const note = await readNote(storage, id);
      expect(note.more).toEqual(before.more?.slice(0, -1));
      expect(events).toHaveLength(1);
      expect(events[0]).toMatchObject({ type: 'state:recovered', document: id });
      expect(await readdir(join(dir, 'quarantine'))).toHaveLength(1);
      expect(log.lines.filter(({ level }) => level === 'error')).toMatchObject([{ document: id }]);
      // The next start finds nothing amiss.
      const later: StorageEvent[] = [];
      await readNote(openStorage(dir, { onEvent: (event) => later.push(event) }), id);
      expect(later).toEqual([]);
    });

    it(`${damage}: a snapshot does not stop other documents, nor the chunks after it`, async () => {
      const dir = await scratchFolder();
      const id = await writeNotes(dir, 2);
      const other = await writeNotes(dir, 1);
      const [snapshot] = (await allFiles(dir)).filter((path) => path.includes(`${id.slice(2)}/snapshot/`));
      await writeFile(snapshot ?? '', spoil(await readFile(snapshot ?? '')));
      const events: StorageEvent[] = [];
      const storage = openStorage(dir, { onEvent: (event) => events.push(event) });
      expect((await storage.loadRange([id])).map(({ key }) => key[1])).toEqual([
        'incremental',
        'incremental',
      ]);
      expect((await readNote(storage, other)).more).toHaveLength(201);
      expect(events).toMatchObject([
        { type: 'state:recovered', document: id, key: [id, 'snapshot', expect.any(String)] },
      ]);
    });
  }

  it('that no checksum of ours covers is found by its framing: stock files in the same state', async () => {
    const dir = await scratchFolder();
    const stock = new Repo({ storage: new NodeFSStorageAdapter(dir) });
    const handle = stock.create<Note>({ text: 'x'.repeat(3000) });
    await stock.flush();
    const [snapshot] = (await allFiles(dir)).filter((path) => path.includes('/snapshot/'));
    const bytes = await readFile(snapshot ?? '');
    await writeFile(snapshot ?? '', Buffer.concat([bytes, bytes.subarray(0, 20)]));
    const events: StorageEvent[] = [];
    const storage = openStorage(dir, { onEvent: (event) => events.push(event) });
    expect(await storage.loadRange([handle.documentId])).toEqual([]);
    expect(events).toMatchObject([{ reason: expect.stringContaining('torn') as string }]);
  });

  it('that cannot be moved is kept from the reader at every start', async () => {
    const dir = await scratchFolder();
    const id = await writeNotes(dir, 1);
    const [chunk] = (await allFiles(dir)).filter((path) => path.includes('/snapshot/'));
    const bytes = await readFile(chunk ?? '');
    await writeFile(chunk ?? '', Buffer.concat([bytes, bytes]));
    const files = faultyFiles((call, path) => (call === 'link' && path === chunk ? 'EACCES' : undefined));
    for (let start = 0; start < 2; start += 1) {
      const events: StorageEvent[] = [];
      const storage = openStorage(dir, { files, onEvent: (event) => events.push(event) });
      expect(await storage.loadRange([id, 'snapshot'])).toEqual([]);
      expect(events).toMatchObject([{ type: 'state:recovered', quarantined: undefined }]);
    }
  });

  it('that cannot be read is left in place, and the others count', async () => {
    const dir = await scratchFolder();
    const id = await writeNotes(dir, 2);
    const [chunk] = (await allFiles(dir)).filter((path) => path.includes('/incremental/'));
    const events: StorageEvent[] = [];
    const storage = openStorage(dir, {
      files: faultyFiles((call, path) => (call === 'read' && path === chunk ? 'EIO' : undefined)),
      onEvent: (event) => events.push(event),
    });
    expect(await storage.loadRange([id, 'incremental'])).toHaveLength(1);
    expect(events).toMatchObject([{ type: 'state:recovered', document: id, quarantined: undefined }]);
    expect(await allFiles(dir)).toContain(chunk);
  });

  it('is never seen in a good one by a kill between a file and its checksum', async () => {
    const key = ['abcdef', 'sync-state', 'peer'];
    for (const [nth, stop] of [
      [0, 'sidecar not renamed'],
      [1, 'contents not renamed'],
    ] as const) {
      const dir = await scratchFolder();
      await openStorage(dir).save(key, Buffer.from('old'));
      let renames = 0;
      // Every call after the stop fails, as after a kill.
      let dead = false;
      const files = faultyFiles((call) => {
        if (call === 'rename' && renames++ === nth) dead = true;
        return dead ? 'EIO' : undefined;
      });
      const killed = openStorage(dir, { files });
      void killed.save(key, Buffer.from('new'));
      await vi.waitFor(() => expect(killed.status().state).toBe('failing'), 30_000);
      await killed.close(AbortSignal.abort());
      const events: StorageEvent[] = [];
      const storage = openStorage(dir, { onEvent: (event) => events.push(event) });
      expect(Buffer.from((await storage.load(key)) ?? []).toString(), stop).toBe('old');
      await storage.save(key, Buffer.from('newer'));
      expect(Buffer.from((await openStorage(dir).load(key)) ?? []).toString(), stop).toBe('newer');
      expect(events).toEqual([]);
    }
  });

  it('and what a kill left unfinished: temporary files and lone checksums are cleaned', async () => {
    const dir = await scratchFolder();
    const id = await writeNotes(dir, 1);
    await writeFile(join(dir, 'tmp', '17'), 'half');
    await writeFile(join(dir, 'checksums', 'gone~snapshot~00'), 'lone');
    const log = recordingLog();
    await readNote(openStorage(dir, { log }), id);
    expect(await readdir(join(dir, 'tmp'))).toEqual([]);
    expect(await readdir(join(dir, 'checksums'))).not.toContain('gone~snapshot~00');
    expect(log.lines).toMatchObject([{ temporary: 1, checksums: 1 }]);
  });
});

describe('a disk that refuses', () => {
  for (const [call, code] of [
    ['file.write', 'ENOSPC'],
    ['file.sync', 'EIO'],
    ['create', 'EACCES'],
    ['rename', 'EROFS'],
    ['syncFolder', 'EIO'],
  ] as const) {
    it(`(${call}: ${code}) never ends the process or acknowledges; all is written when it gives way`, async () => {
      const dir = await scratchFolder();
      let broken = false;
      const events: StorageEvent[] = [];
      const storage = openStorage(dir, {
        files: faultyFiles((made) => (broken && made === call ? code : undefined)),
        onEvent: (event) => events.push(event),
      });
      const repo = new Repo({ storage });
      const handle = repo.create<Note>({ text: 'before' });
      await repo.flush();
      broken = true;
      handle.change((doc) => {
        doc.text = 'during';
      });
      let acknowledged = false;
      const flushed = repo.flush([handle.documentId]).then(() => {
        acknowledged = true;
      });
      await vi.waitFor(() => expect(events.length).toBeGreaterThanOrEqual(2), 30_000);
      expect(events[0]).toMatchObject({ type: 'state:save-error', code, attempt: 1 });
      expect(acknowledged).toBe(false);
      expect(storage.status().state).toBe('failing');
      expect(storage.status().pendingBytes).toBeGreaterThan(0);
      broken = false;
      await flushed;
      await storage.settled();
      expect(events.at(-1)).toMatchObject({ type: 'state:save-restored' });
      expect(storage.status()).toMatchObject({ state: 'idle', pendingWrites: 0 });
      expect(await readNote(openStorage(dir), handle.documentId)).toEqual({ text: 'during' });
      // Upstream still compacts: a small document becomes one snapshot again (a background save beside the
      // flush may leave an increment for the next one).
      await vi.waitFor(async () => {
        handle.change((doc) => {
          doc.text += '.';
        });
        await repo.flush();
        await storage.settled();
        const kinds = (await openStorage(dir).loadRange([handle.documentId])).map(({ key }) => key[1]);
        expect(kinds).toEqual(['snapshot']);
      }, 30_000);
      expect(await readdir(join(dir, 'tmp'))).toEqual([]);
    });
  }

  it('at one place only does not hold up the others, and what waits can be read', async () => {
    const dir = await scratchFolder();
    const storage = openStorage(dir, {
      files: faultyFiles((call, path) =>
        call === 'syncFolder' && path.includes('badbad'.slice(2)) ? 'EIO' : undefined,
      ),
    });
    void storage.save(['badbad', 'value', 'x'], Uint8Array.of(1));
    for (let i = 0; i < 20; i += 1) await storage.save(['goodgood', 'value', `${i}`], Uint8Array.of(i));
    expect(storage.status().state).toBe('failing');
    expect(await storage.load(['badbad', 'value', 'x'])).toEqual(Uint8Array.of(1));
    expect(await storage.loadRange(['badbad'])).toHaveLength(1);
    await storage.close(AbortSignal.abort());
  });

  it('makes reading fail loudly instead of saying that nothing was ever saved', async () => {
    const dir = await scratchFolder();
    const id = await writeNotes(dir, 1);
    const noHandles = openStorage(dir, {
      files: faultyFiles((call) => (call === 'read' ? 'EMFILE' : undefined)),
    });
    await expect(noHandles.loadRange([id])).rejects.toMatchObject({ code: 'EMFILE' });
    const noAccess = openStorage(dir, {
      files: faultyFiles((call, path) =>
        call === 'list' && path.includes(id.slice(2)) ? 'EACCES' : undefined,
      ),
    });
    await expect(noAccess.loadRange([id])).rejects.toMatchObject({ code: 'EACCES' });
  });

  it('is named when the storage is closed over it', async () => {
    const dir = await scratchFolder();
    const log = recordingLog();
    const storage = openStorage(dir, {
      log,
      files: faultyFiles((call) => (call === 'file.write' ? 'ENOSPC' : undefined)),
    });
    void storage.save(['abcdef', 'value', 'x'], new Uint8Array(100));
    await storage.close(AbortSignal.timeout(150));
    expect(log.lines.at(-1)).toMatchObject({ level: 'error', pendingWrites: 1, pendingBytes: 100 });
    expect(storage.status().state).toBe('closed');
  });
});

describe('settled', () => {
  it('waits for what the repo saves in the background', async () => {
    const dir = await scratchFolder();
    const storage = openStorage(dir);
    void storage.save(['abcdef', 'value', 'x'], Uint8Array.of(1));
    void storage.save(['abcdef', 'value', 'x'], Uint8Array.of(2));
    await storage.settled();
    expect(await openStorage(dir).load(['abcdef', 'value', 'x'])).toEqual(Uint8Array.of(2));
  });

  it('a later save or removal of one key counts, whatever was on its way', async () => {
    const dir = await scratchFolder();
    const storage = openStorage(dir);
    const key = ['abcdef', 'value', 'x'];
    const all: Promise<void>[] = [];
    for (let i = 0; i < 20; i += 1) {
      all.push(storage.save(key, Uint8Array.of(i)));
      if (i % 5 === 0) all.push(storage.remove(key));
      if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(await storage.load(key)).toEqual(i % 5 === 0 ? undefined : Uint8Array.of(i));
    }
    await Promise.all(all);
    expect(await openStorage(dir).load(key)).toEqual(Uint8Array.of(19));
  });
});

describe('opening', () => {
  it('works again once what stood in the way is gone', async () => {
    const parent = await scratchFolder();
    await writeFile(join(parent, 'data'), 'a file in the place of the folder');
    const storage = openStorage(join(parent, 'data'));
    await expect(storage.load(['x'])).rejects.toThrow();
    await unlink(join(parent, 'data'));
    await mkdir(join(parent, 'data'));
    await chmod(join(parent, 'data'), 0o700);
    expect(await storage.load(['x'])).toBeUndefined();
  });
});
