import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import * as A from '@automerge/automerge';
import { Repo } from '@automerge/automerge-repo';
import type { DocumentId, StorageKey } from '@automerge/automerge-repo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isDocumentChunk, placeOfKey } from '../../src/storage/chunk-key.js';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { newSealingKey, sealingKey } from '../../src/storage/seal.js';
import type { Keyring } from '../../src/storage/sealed-chunks.js';
import { seeded } from './random.js';
import { recordingLog, type LoggedLine } from './recording-log.js';

type Doc = Record<string, unknown>;

/** What one chunk holds, in plain, by the path of its file. */
interface Truth {
  dir: string;
  keys: Keyring;
  files: string[];
  chunks: Map<string, { key: StorageKey; data: Uint8Array }>;
  /** Hashes of every change that was ever made, by document. */
  changes: Map<string, Set<string>>;
}

const hashesIn = (document: A.Doc<Doc>): string[] =>
  A.getAllChanges(document).map((change) => A.decodeChange(change).hash);

function assembled(parts: Uint8Array[]): A.Doc<Doc> {
  let document = A.init<Doc>();
  for (const part of parts) document = A.loadIncremental(document, part);
  return document;
}

/** About 12 files: three documents with a snapshot, two with increments, two values of the repo, and checksums. */
async function written(keys: Keyring, dir: string): Promise<Truth> {
  const log = recordingLog();
  const storage = new DurableStorage({ dir, keys, log });
  const repo = new Repo({ storage });
  const ids: DocumentId[] = [];
  for (const increments of [2, 1, 0]) {
    const handle = repo.create<Doc>({ text: 'a document', rows: {} });
    ids.push(handle.documentId);
    handle.change((doc) => {
      doc['rows'] = Object.fromEntries(
        Array.from({ length: 120 }, (_, n) => [`row ${n * 7919}`, `${n * 104_729}`]),
      );
    });
    await repo.flush();
    for (let n = 0; n < increments; n += 1) {
      handle.change((doc) => {
        doc[`later ${n}`] = n;
      });
      await repo.flush();
    }
  }
  await storage.save([ids[0] ?? '', 'sync-state', 'peer'], Buffer.from('what a peer has'));
  await storage.settled();
  const all = await storage.loadRange([]);
  const changes = new Map<string, Set<string>>();
  for (const id of ids) {
    const parts = all
      .filter(({ key }) => key[0] === id && isDocumentChunk(key))
      .map(({ data }) => data ?? new Uint8Array());
    changes.set(id, new Set(hashesIn(assembled(parts))));
  }
  await storage.close(AbortSignal.timeout(60_000));
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return {
    dir,
    keys,
    files: entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(dir, join(entry.parentPath, entry.name))),
    chunks: new Map(
      all.map(({ key, data }) => [placeOfKey(key).join('/'), { key, data: data ?? new Uint8Array() }]),
    ),
    changes,
  };
}

interface Start {
  events: StorageEvent[];
  lines: LoggedLine[];
  found: Map<string, Uint8Array>;
}

/** As a process does at its start: opens everything, then writes something. */
async function start(dir: string, keys: Keyring): Promise<Start> {
  const [events, log]: [StorageEvent[], ReturnType<typeof recordingLog>] = [[], recordingLog()];
  const storage = new DurableStorage({
    durability: 'os',
    dir,
    keys,
    log,
    onEvent: (event) => events.push(event),
  });
  await storage.open();
  const found = new Map<string, Uint8Array>();
  await storage.load(['storage-adapter-id']);
  for (const { key, data } of await storage.loadRange([])) {
    found.set(placeOfKey(key).join('/'), data ?? new Uint8Array());
  }
  await storage.save(['written', 'value', 'after'], Buffer.from('after'));
  await storage.settled();
  await storage.close(AbortSignal.timeout(60_000));
  found.delete('wr/itten/value/after');
  return { events, lines: log.lines, found };
}

let starts = 0;

/** Damages one file of a copy, starts, each fourth time twice, and judges. `damage` says whether it can be known. */
async function damaged(
  truth: Truth,
  file: string,
  what: string,
  damage: (path: string) => Promise<boolean>,
): Promise<void> {
  const copy = `${truth.dir}-damaged`;
  await rm(copy, { recursive: true, force: true, maxRetries: 10 });
  await cp(truth.dir, copy, { recursive: true });
  const isSeen = await damage(join(copy, file));
  const at = `${file} ${what}`;
  const { events, lines, found } = await start(copy, truth.keys);
  const chunk = truth.chunks.get(file);
  for (const [path, { data }] of truth.chunks) {
    if (path !== file) expect(found.get(path), `${at}: ${path}`).toEqual(data);
  }
  if (chunk === undefined) {
    expect(found.size, at).toBe(truth.chunks.size);
    expect(events, at).toEqual([]);
  } else if (!isSeen) expect(found.size, at).toBe(truth.chunks.size - 1);
  else {
    expect(found.has(file), at).toBe(false);
    expect(events, at).toMatchObject([{ type: 'state:recovered', key: chunk.key }]);
    expect(
      lines.filter(({ level }) => level === 'error'),
      at,
    ).toMatchObject([{ key: chunk.key }]);
  }
  // What is left opens, and nothing in it was never written.
  for (const [id, changes] of truth.changes) {
    const parts = [...found].filter(([path]) => isChunkOf(truth, path, id)).map(([, data]) => data);
    for (const hash of hashesIn(assembled(parts))) expect(changes, at).toContain(hash);
  }
  starts += 1;
  if (starts % 4 !== 0) return;
  const again = await start(copy, truth.keys);
  expect(again.events, `${at}, the second time`).toEqual([]);
  expect(again.found.size, `${at}, the second time`).toBe(found.size);
}

const isChunkOf = (truth: Truth, path: string, id: string): boolean => {
  const key = truth.chunks.get(path)?.key ?? [];
  return key[0] === id && isDocumentChunk(key);
};

const key = sealingKey(newSealingKey());
const kinds: [string, Keyring, places: number, flips: number][] = [
  ['a plain folder', {}, 10, 200],
  ['an encrypted folder', key ? { current: key } : {}, 2, 20],
];

for (const [kind, keys, places, flips] of kinds) {
  describe(`damage in ${kind}: it starts, says what happened, and has everything else`, () => {
    let folder: string;
    let truth: Truth;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'understudy-storage-'));
      truth = await written(keys, join(folder, 'data'));
      expect(truth.files.length).toBeGreaterThanOrEqual(12);
      expect(truth.files.length).toBeLessThanOrEqual(16);
    });
    afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));

    it(`every file cut at ${places} places`, async () => {
      for (const file of truth.files) {
        const { length } = await readFile(join(truth.dir, file));
        const cuts = new Set(
          Array.from({ length: places }, (_, n) => Math.floor(((n + 0.5) * length) / places)),
        );
        for (const cut of [...cuts].filter((one) => one < length)) {
          await damaged(truth, file, `cut at ${cut}`, async (path) => {
            await truncate(path, cut);
            return true;
          });
        }
      }
    }, 120_000);

    it(`${flips} bits flipped anywhere`, async () => {
      const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
      const random = seeded(seed);
      for (let flip = 0; flip < flips; flip += 1) {
        const file = truth.files[Math.floor(random() * truth.files.length)] ?? '';
        const bytes = await readFile(join(truth.dir, file));
        const bit = Math.floor(random() * bytes.length * 8);
        bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        await damaged(truth, file, `bit ${bit} flipped (SEED=${seed})`, async (path) => {
          await writeFile(path, bytes);
          return true;
        });
      }
    }, 120_000);

    it('every file emptied, filled with zeros, removed, replaced by a folder, replaced by another file', async () => {
      for (const file of truth.files) {
        const bytes = await readFile(join(truth.dir, file));
        await damaged(truth, file, 'emptied', async (path) => {
          await truncate(path, 0);
          return true;
        });
        await damaged(truth, file, 'zeros', async (path) => {
          await writeFile(path, Buffer.alloc(bytes.length));
          return true;
        });
        await damaged(truth, file, 'removed', async (path) => {
          await unlink(path);
          return false;
        });
        for (const content of [[], ['a file within']]) {
          await damaged(truth, file, `a folder with ${content.length} files`, async (path) => {
            await unlink(path);
            await mkdir(path);
            for (const name of content) await writeFile(join(path, name), 'x');
            return true;
          });
        }
        const other = truth.files.find((one) => one !== file && one.includes('/incremental/')) ?? '';
        await damaged(truth, file, `replaced by ${other}`, async (path) => {
          await cp(join(truth.dir, other), path);
          return true;
        });
      }
    }, 120_000);
  });
}
