import * as A from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/storage/checksum.js';
import type { ChunkStore } from '../../src/storage/chunk-store.js';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { FsChunks } from '../../src/storage/fs-chunks.js';
import { MemoryChunks } from '../../src/storage/memory-chunks.js';
import { PostgresChunks } from '../../src/storage/postgres-chunks.js';
import { rotateKey } from '../../src/storage/rotate-key.js';
import { newSealingKey, sealedWith, sealingKey } from '../../src/storage/seal.js';
import type { SealingKey } from '../../src/storage/seal.js';
import type { Keyring } from '../../src/storage/sealed-chunks.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { losePowerAtEveryCall } from './every-call.js';
import type { LosingDisk } from './losing-disk.js';
import { onServer } from './stores.js';

function freshKey(): SealingKey {
  const key = sealingKey(newSealingKey());
  if (!key) throw new Error('no key');
  return key;
}

const [ONE, TWO] = [freshKey(), freshKey()];
const DIR = '/data/documents';

const change = A.save(A.from({ n: 1 }));
const CHUNKS: [StorageKey, Uint8Array][] = [
  [['doc', 'incremental', sha256(change)], change],
  [['doc', 'snapshot', 'heads'], change],
  [['doc', 'sync-state', 'peer'], Buffer.from('a peer')],
];

const folder = (disk: LosingDisk): ChunkStore =>
  new FsChunks({ dir: DIR, files: disk.files, durability: 'fsync', log: silentLog, clock: systemClock });

async function fill(store: ChunkStore, keys: Keyring, chunks = CHUNKS): Promise<void> {
  const storage = new DurableStorage({ store, keys, log: silentLog });
  await Promise.all(chunks.map(([key, bytes]) => storage.save(key, bytes)));
}

/** What is there, read with these keys. */
async function read(
  store: ChunkStore,
  keys: Keyring,
): Promise<{ chunks: [StorageKey, Uint8Array][]; events: StorageEvent[] }> {
  const events: StorageEvent[] = [];
  const storage = new DurableStorage({ store, keys, log: silentLog, onEvent: (event) => events.push(event) });
  const chunks = (await storage.loadRange([])).map(({ key, data }): [StorageKey, Uint8Array] => [
    key,
    data ?? new Uint8Array(),
  ]);
  return { chunks, events };
}

const plainCopy = (chunks: [StorageKey, Uint8Array][]) => chunks.map(([key, bytes]) => [key, [...bytes]]);
const ALL = { chunks: plainCopy(CHUNKS), events: [] };
const readAll = async (store: ChunkStore, keys: Keyring) => {
  const { chunks, events } = await read(store, keys);
  return { chunks: plainCopy(chunks), events };
};

describe('a change of the storage key', () => {
  const kinds: [string, Keyring, { current: SealingKey; previous?: SealingKey }][] = [
    ['from one to the next', { current: ONE }, { current: TWO, previous: ONE }],
    ['of a plain folder', {}, { current: TWO }],
  ];
  for (const [what, before, keys] of kinds) {
    it(`S-rotate: ${what}, with the power lost at every call: it is run again, and ends well`, async () => {
      const losses = await losePowerAtEveryCall<'through'>({
        prepare: (disk) => fill(folder(disk), before),
        act: async (disk, say) => {
          await rotateKey({ store: folder(disk), keys, now: 0 });
          say('through');
        },
        check: async (disk, said) => {
          if (said.length > 0) expect(await readAll(folder(disk), { current: TWO })).toEqual(ALL);
          // Whether or not it had begun, one of the two opens it, and both have all there is.
          const withNew = await readAll(folder(disk), keys).catch(() => undefined);
          expect(withNew ?? (await readAll(folder(disk), before))).toEqual(ALL);
          const { quarantined } = await rotateKey({ store: folder(disk), keys, now: 0 });
          expect(quarantined).toEqual([]);
          expect(await readAll(folder(disk), { current: TWO })).toEqual(ALL);
          for (const [key] of CHUNKS) {
            const look = await folder(disk).look(key);
            expect(look.state === 'good' && sealedWith(look.bytes)).toBe(TWO.id);
          }
        },
      });
      expect(losses).toBeGreaterThan(100);
    });
  }

  it('lets whoever has both keys read and write in the middle of it, and nobody else', async () => {
    const store = new MemoryChunks();
    await fill(store, { current: ONE });
    const commit = store.commit.bind(store);
    let commits = 0;
    store.commit = (batch) => {
      commits += 1;
      return commits === 2
        ? Promise.resolve(new Map([...batch.keys()].map((id) => [id, new Error('full')])))
        : commit(batch);
    };
    await expect(rotateKey({ store, keys: { current: TWO, previous: ONE }, now: 0 })).rejects.toThrow('full');
    const both = { current: TWO, previous: ONE };
    expect(await readAll(store, both)).toEqual(ALL);
    await fill(store, both, [[['doc', 'sync-state', 'new'], Buffer.from('new')]]);
    await expect(read(store, { current: TWO })).rejects.toMatchObject({ why: 'half-changed' });
    await expect(read(store, { current: ONE })).rejects.toMatchObject({ why: 'wrong-key' });
    await expect(read(store, {})).rejects.toMatchObject({ why: 'missing-key' });
    expect(await rotateKey({ store, keys: both, now: 0 })).toEqual({ changed: 3, quarantined: [] });
    expect((await read(store, { current: TWO })).chunks).toHaveLength(4);
    expect(await rotateKey({ store, keys: { current: TWO }, now: 0 })).toEqual({
      changed: 0,
      quarantined: [],
    });
  });

  it('writes nothing without the earlier key, also when nothing says which it was', async () => {
    for (const isRecordLost of [false, true]) {
      const store = new MemoryChunks();
      await fill(store, { current: ONE });
      const record = ['understudy-encryption', 'record', '1'];
      if (isRecordLost) await store.commit(new Map([['record', { kind: 'remove', key: record }]]));
      for (const keys of [{ current: TWO }, { current: TWO, previous: freshKey() }]) {
        await expect(rotateKey({ store, keys, now: 0 })).rejects.toMatchObject({
          code: 'storage-key',
          why: 'wrong-key',
        });
      }
      expect(await readAll(store, { current: ONE })).toEqual(ALL);
    }
  });

  it('moves a damaged chunk to quarantine, says which, and changes the others', async () => {
    const store = new MemoryChunks();
    await fill(store, { current: ONE });
    const key = ['doc', 'sync-state', 'peer'];
    const look = await store.look(key);
    const bytes = look.state === 'good' ? look.bytes.slice() : new Uint8Array();
    bytes.set([bytes[40] === 0 ? 1 : 0], 40);
    await store.commit(new Map([['x', { kind: 'save', key, bytes }]]));
    const result = await rotateKey({ store, keys: { current: TWO, previous: ONE }, now: 0 });
    expect(result).toEqual({ changed: 2, quarantined: [key] });
    expect((await read(store, { current: TWO })).events).toEqual([]);
  });

  onServer((freshUrl) => {
    it('is the same in a database, and tells how far it is', async () => {
      const store = new PostgresChunks({ url: await freshUrl(), log: silentLog });
      const many = Array.from({ length: 100 }, (_, n): [StorageKey, Uint8Array] => [
        ['doc', 'value', `${n}`],
        Buffer.from(`${n}`),
      ]);
      await fill(store, {}, many);
      const progress: number[] = [];
      const onProgress = (done: number): void => void progress.push(done);
      expect(await rotateKey({ store, keys: { current: ONE }, now: 0, onProgress })).toEqual({
        changed: 100,
        quarantined: [],
      });
      expect(progress.slice(0, 4)).toEqual([32, 64, 96, 100]);
      expect((await read(store, { current: ONE })).chunks).toHaveLength(100);
      await store.close();
    });
  });
});
