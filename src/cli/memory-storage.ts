import type { Chunk, StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';

/** Documents kept in memory, for a relay that may forget. */
export class MemoryStorage implements StorageAdapterInterface {
  private readonly chunks = new Map<string, Chunk>();

  load(key: StorageKey): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.chunks.get(nameOf(key))?.data);
  }

  save(key: StorageKey, data: Uint8Array): Promise<void> {
    this.chunks.set(nameOf(key), { key, data: data.slice() });
    return Promise.resolve();
  }

  remove(key: StorageKey): Promise<void> {
    this.chunks.delete(nameOf(key));
    return Promise.resolve();
  }

  loadRange(prefix: StorageKey): Promise<Chunk[]> {
    return Promise.resolve([...this.chunks.values()].filter(({ key }) => startsWith(key, prefix)));
  }

  removeRange(prefix: StorageKey): Promise<void> {
    for (const [name, { key }] of this.chunks) if (startsWith(key, prefix)) this.chunks.delete(name);
    return Promise.resolve();
  }
}

const nameOf = (key: StorageKey): string => JSON.stringify(key);
const startsWith = (key: StorageKey, prefix: StorageKey): boolean =>
  prefix.every((part, i) => key[i] === part);
