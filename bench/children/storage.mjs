/** Storage alone: ours over a folder, upstream's NodeFS adapter, and a bare loop of append and fsync. */
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import * as A from '@automerge/automerge';
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs';
import { DurableStorage } from '../../dist/storage/durable.js';
import { newSealingKey, sealingKey } from '../../dist/storage/seal.js';
import { silentLog } from '../../dist/telemetry/log.js';
import { serve, sharedNow } from './serve.mjs';

/** About what one change of a record takes. */
const BYTES = 300;
const DOCUMENTS = 64;

const opened = {
  ours: (dir, durability) => new DurableStorage({ dir, log: silentLog, durability }),
  encrypted: (dir) =>
    new DurableStorage({ dir, log: silentLog, keys: { current: sealingKey(newSealingKey()) } }),
  stock: (dir) => new NodeFSStorageAdapter(dir),
};

function chunk(n) {
  const bytes = randomBytes(BYTES);
  const sum = createHash('sha256').update(bytes).digest('hex');
  return { key: [documentOf(n), 'incremental', sum], bytes };
}

const documentOf = (n) => `document${String(n % DOCUMENTS).padStart(4, '0')}`;

/** Saves with so many on their way at once, until the time is over. */
async function saveFor(storage, forMs, inFlight) {
  const start = sharedNow();
  let count = 0;
  const lane = async () => {
    while (sharedNow() - start < forMs) {
      count += 1;
      const { key, bytes } = chunk(count);
      await storage.save(key, bytes);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { count, ms: sharedNow() - start };
}

/** What no storage can outdo: records at the end of one open file, so many for each fsync. */
async function append(file, forMs, perSync) {
  const handle = await open(file, 'a');
  const start = sharedNow();
  let count = 0;
  while (sharedNow() - start < forMs) {
    await handle.write(randomBytes(BYTES * perSync));
    await handle.sync();
    count += perSync;
  }
  const ms = sharedNow() - start;
  await handle.close();
  return { count, ms };
}

function memory() {
  globalThis.gc();
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, used: heapUsed + external };
}

serve({
  save: ({ kind, dir, forMs, inFlight }) => saveFor(opened[kind](dir, 'fsync'), forMs, inFlight),
  append: ({ file, forMs, perSync }) => append(file, forMs, perSync),
  /** As a document lives: increments come, and those that a compaction took up go. */
  async grow({ kind, dir, count }) {
    const storage = opened[kind](dir, 'os');
    const kept = [];
    const step = async (n) => {
      const { key, bytes } = chunk(n);
      await storage.save(key, bytes);
      kept.push(key);
      if (kept.length > 1000) await storage.remove(kept.shift());
    };
    for (let n = 0; n < 2000; n += 100)
      await Promise.all(Array.from({ length: 100 }, (_, at) => step(n + at)));
    const before = memory();
    for (let n = 0; n < count; n += 100)
      await Promise.all(Array.from({ length: 100 }, (_, at) => step(n + at)));
    const after = memory();
    return { used: after.used - before.used, rss: after.rss - before.rss };
  },
  /** A folder of real documents, in so many chunks. */
  async fill({ dir, chunks }) {
    const storage = new DurableStorage({ dir, log: silentLog, durability: 'os' });
    for (let at = 0; at < DOCUMENTS; at += 1) {
      let document = A.init();
      const saves = [];
      for (let n = 0; n < chunks / DOCUMENTS; n += 1) {
        document = A.change(document, (draft) => {
          draft[`record ${n}`] = new A.ImmutableString(randomBytes(BYTES / 2).toString('hex'));
        });
        const bytes = A.getLastLocalChange(document);
        const sum = createHash('sha256').update(bytes).digest('hex');
        saves.push(storage.save([documentOf(at), 'incremental', sum], bytes));
      }
      await Promise.all(saves);
      A.free(document);
    }
  },
  async start({ kind, dir }) {
    const start = sharedNow();
    const storage = opened[kind](dir, 'fsync');
    let chunks = 0;
    for (let at = 0; at < DOCUMENTS; at += 1) chunks += (await storage.loadRange([documentOf(at)])).length;
    return { chunks, ms: sharedNow() - start };
  },
});
