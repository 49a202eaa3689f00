import { createHash } from 'node:crypto';
import * as A from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import { expect, it } from 'vitest';
import { byKey, type ChunkStore } from '../../src/storage/chunk-store.js';
import { DurableStorage } from '../../src/storage/durable.js';
import type { StorageEvent } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';
import type { FreshPlace, Place } from './stores.js';
import { upstreamSuite } from './upstream-suite.js';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const textOf = (data: Uint8Array | undefined): string | undefined => data && Buffer.from(data).toString();

/** First parts that a careless layout, pattern or encoding takes for one another, or for a path. */
const PARTS = [
  ...[
    'doc',
    'Doc',
    'DOC',
    'docs',
    'do',
    'd',
    'doc/',
    '/doc',
    'doc\\x',
    'doc%',
    'doc%2f',
    '%',
    '%%',
    '_',
    'd_c',
  ],
  ...[
    'doc~x',
    'doc,x',
    'doc"',
    "doc'",
    'doc]',
    '["doc"]',
    'doc\0',
    'doc\n',
    ' ',
    ' doc',
    '.',
    '..',
    '../doc',
  ],
  ...['é', 'e\u0301', 'ß', 'SS', 'İ', 'ı', '文書', '🗂', '\ud83d', '\udcc2', '\uffff', 'con', 'nul.txt'],
  ...['tmp', 'checksums', 'quarantine', 'encryption', 'x'.repeat(128), 'x'.repeat(129), 'x'.repeat(5000)],
];

function opened(store: ChunkStore, onEvent: (event: StorageEvent) => void = () => {}): DurableStorage {
  return new DurableStorage({ store, log: silentLog, onEvent });
}

async function closed(storage: DurableStorage): Promise<void> {
  await storage.close(AbortSignal.timeout(60_000));
}

/** Does it on storage that is closed afterwards. */
async function on<T>(place: Place, act: (storage: DurableStorage) => Promise<T>): Promise<T> {
  const storage = opened(place.open());
  try {
    return await act(storage);
  } finally {
    await closed(storage);
  }
}

/** What every kind of storage must do, and more strictly than upstream's own suite asks. */
export function storageContract(fresh: FreshPlace): void {
  upstreamSuite('upstream', async () => {
    const storage = opened((await fresh()).open());
    return { storage, close: () => closed(storage) };
  });

  it('keeps every key apart from every other, whatever is in its parts', async () => {
    const place = await fresh();
    const keys: StorageKey[] = PARTS.flatMap((part) => [
      [part, 'value', 'x'],
      ['doc', 'value', part],
      ['doc', part, 'y'],
    ]);
    const distinct = new Map(keys.map((key) => [JSON.stringify(key), key]));
    const check = async (storage: DurableStorage) => {
      for (const [name, key] of distinct) expect(textOf(await storage.load(key)), name).toBe(name);
      for (const part of PARTS) {
        const expected = [...distinct.values()].filter(([first]) => first === part);
        const found = await storage.loadRange([part]);
        expect(found.map(({ key }) => key)).toEqual(expected.sort(byKey));
        for (const { key, data } of found) expect(textOf(data)).toBe(JSON.stringify(key));
      }
    };
    await on(place, async (storage) => {
      await Promise.all([...distinct].map(([name, key]) => storage.save(key, bytes(name))));
      await check(storage);
    });
    if (place.keeps) await on(place, check);
  });

  it('removes a range, and nothing beside it', async () => {
    const place = await fresh();
    await on(place, async (storage) => {
      for (const part of PARTS) await storage.save([part, 'value', 'x'], bytes(part));
      await storage.save(['doc', 'values', 'x'], bytes('beside'));
      await storage.removeRange(['doc', 'value']);
      expect(await storage.load(['doc', 'value', 'x'])).toBeUndefined();
      expect(textOf(await storage.load(['doc', 'values', 'x']))).toBe('beside');
      await storage.removeRange(['doc']);
      expect(await storage.loadRange(['doc'])).toEqual([]);
      for (const part of PARTS.slice(1)) expect(await storage.loadRange([part]), part).toHaveLength(1);
      await storage.removeRange(['nobody']);
      await storage.removeRange([]);
      expect(await storage.loadRange([])).toEqual([]);
      expect(await storage.documents()).toEqual([]);
    });
    if (place.keeps) expect(await on(place, (storage) => storage.loadRange([]))).toEqual([]);
  });

  it('gives a range in the order of its keys, stored or still to be written', async () => {
    await on(await fresh(), async (storage) => {
      const names = ['m', 'B', 'a', 'Z', 'é', '10', '9', '-', 'zz', 'z'];
      for (const name of names.slice(0, 6)) await storage.save(['doc', 'value', name], bytes(name));
      const waiting = names.slice(6).map((name) => storage.save(['doc', 'value', name], bytes(name)));
      const keys = (await storage.loadRange(['doc'])).map(({ key }) => key[2]);
      await Promise.all(waiting);
      expect(keys).toEqual([...names].sort());
      expect((await storage.loadRange(['doc'])).map(({ key }) => key[2])).toEqual([...names].sort());
    });
  });

  it('keeps values of 0 bytes, of 10 MB, and of a part of a larger buffer', async () => {
    const place = await fresh();
    const large = new Uint8Array(10 * 1024 * 1024).map((_, at) => (at * 2_654_435_761) >>> 24);
    const check = async (storage: DurableStorage) => {
      expect(await storage.load(['doc', 'value', 'none'])).toEqual(new Uint8Array());
      const found = (await storage.load(['doc', 'value', 'large'])) ?? new Uint8Array();
      expect(sum(found)).toBe(sum(large));
      expect(await storage.load(['doc', 'value', 'part'])).toEqual(large.slice(100, 200));
    };
    await on(place, async (storage) => {
      await storage.save(['doc', 'value', 'none'], new Uint8Array());
      await storage.save(['doc', 'value', 'large'], large);
      await storage.save(['doc', 'value', 'part'], large.subarray(100, 200));
      await check(storage);
    });
    if (place.keeps) await on(place, check);
  });

  it('lets the last of several saves and removals of one key count, and resolves them all', async () => {
    const place = await fresh();
    const key = ['doc', 'value', 'x'];
    await on(place, async (storage) => {
      const all: Promise<void>[] = [];
      for (let n = 0; n < 61; n += 1) {
        all.push(n % 7 === 3 ? storage.remove(key) : storage.save(key, bytes(`${n}`)));
        if (n % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
        expect(textOf(await storage.load(key))).toBe(n % 7 === 3 ? undefined : `${n}`);
      }
      await Promise.all(all);
      expect(textOf(await storage.load(key))).toBe('60');
    });
    if (place.keeps) expect(textOf(await on(place, (storage) => storage.load(key)))).toBe('60');
  });

  it('has on disk what was acknowledged, and what was there before `settled`, without being closed well', async () => {
    const place = await fresh();
    if (!place.keeps) return;
    const storage = opened(place.open());
    await storage.save(['doc', 'value', 'saved'], bytes('saved'));
    await storage.save(['doc', 'value', 'removed'], bytes('removed'));
    await storage.remove(['doc', 'value', 'removed']);
    for (let n = 0; n < 300; n += 1) void storage.save(['doc', 'value', `n${n}`], bytes(`${n}`));
    await storage.settled();
    await storage.close(AbortSignal.abort());
    await on(place, async (later) => {
      expect(textOf(await later.load(['doc', 'value', 'saved']))).toBe('saved');
      expect(await later.load(['doc', 'value', 'removed'])).toBeUndefined();
      expect(await later.loadRange(['doc'])).toHaveLength(301);
    });
  });

  it('shows a value old or new and never a part, to readers and after an end in the middle', async () => {
    const place = await fresh();
    const key = ['doc', 'value', 'x'];
    const size = 3_000_000;
    const whole = (data: Uint8Array | undefined): number => {
      expect(data?.length).toBe(size);
      const [first] = data ?? [];
      expect(data?.every((byte) => byte === first)).toBe(true);
      return first ?? -1;
    };
    const storage = opened(place.open());
    await storage.save(key, new Uint8Array(size).fill(1));
    for (let n = 2; n < 6; n += 1) {
      const saved = storage.save(key, new Uint8Array(size).fill(n));
      expect(whole(await storage.load(key))).toBe(n);
      await saved;
      expect(whole(await storage.load(key))).toBe(n);
    }
    void storage.save(key, new Uint8Array(size).fill(6));
    await new Promise((resolve) => setImmediate(resolve));
    await storage.close(AbortSignal.abort());
    if (place.keeps) expect([5, 6]).toContain(whole(await on(place, (later) => later.load(key))));
  });

  it('finds in a range what was asked to be saved before, at whatever moment it is written', async () => {
    await on(await fresh(), async (storage) => {
      await storage.open();
      for (let n = 0; n < 100; n += 1) {
        const saved = storage.save(['doc', 'value', `${n}`], bytes(`${n}`));
        for (let turn = 0; turn < n % 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        expect(await storage.loadRange(['doc'])).toHaveLength(n + 1);
        await saved;
      }
    });
  });

  it('gives its readers bytes of their own', async () => {
    await on(await fresh(), async (storage) => {
      const key = ['doc', 'value', 'x'];
      await storage.save(key, bytes('as it was'));
      (await storage.load(key))?.fill(0);
      expect(textOf(await storage.load(key))).toBe('as it was');
    });
  });

  it('takes a chunk that no Automerge wrote out of the way, and gives the rest', async () => {
    const place = await fresh();
    const good = A.save(A.from({ text: 'good' }));
    await on(place, async (storage) => {
      await storage.save(['doc', 'snapshot', 'good'], good);
      await storage.save(['doc', 'snapshot', 'torn'], good.subarray(0, good.length - 1));
      await storage.save(['doc', 'incremental', '0'.repeat(64)], good);
    });
    const events: StorageEvent[] = [];
    const storage = opened(place.open(), (event) => events.push(event));
    expect((await storage.loadRange(['doc'])).map(({ key }) => key[2])).toEqual(['good']);
    expect(events).toMatchObject([
      { type: 'state:recovered', document: 'doc' },
      { type: 'state:recovered', document: 'doc' },
    ]);
    expect(storage.status().recovered).toBe(2);
    await storage.settled();
    expect(await storage.loadRange(['doc'])).toHaveLength(1);
    expect(events).toHaveLength(2);
    await closed(storage);
  });
}

const sum = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
