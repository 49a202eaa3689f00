import type { StorageKey } from '@automerge/automerge-repo';
import { startsWith } from './chunk-key.js';
import { byKey } from './chunk-store.js';
import type { ChunkOp, ChunkStore, Look } from './chunk-store.js';
import type { Failures } from './write-queue.js';

/** Chunks in memory, for a relay that may forget: with the process all of it is gone. */
export class MemoryChunks implements ChunkStore {
  readonly place = 'memory';
  readonly #chunks = new Map<string, { key: StorageKey; bytes: Uint8Array }>();

  open(): Promise<void> {
    return Promise.resolve();
  }

  look(key: StorageKey): Promise<Look> {
    const found = this.#chunks.get(JSON.stringify(key));
    return Promise.resolve(found ? { state: 'good', bytes: found.bytes.slice() } : { state: 'absent' });
  }

  keys(prefix: StorageKey): Promise<StorageKey[]> {
    const keys = [...this.#chunks.values()].map(({ key }) => key);
    return Promise.resolve(keys.filter((key) => startsWith(key, prefix)).sort(byKey));
  }

  commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures> {
    for (const op of batch.values()) {
      const id = JSON.stringify(op.key);
      if (op.kind === 'save') this.#chunks.set(id, { key: [...op.key], bytes: op.bytes.slice() });
      else this.#chunks.delete(id);
      if (op.kind === 'quarantine') op.moved(undefined);
    }
    return Promise.resolve(new Map());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
