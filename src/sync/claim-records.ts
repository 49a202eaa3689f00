import type { StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';

/** Where a relay keeps what it knows as an authority on claims: small records by name. */
export interface ClaimRecords {
  /** Rejects when it cannot be said whether there is one. */
  load(name: string): Promise<Uint8Array | undefined>;
  /** Resolves when it outlives a loss of power, as far as the place does. */
  save(name: string, bytes: Uint8Array): Promise<void>;
}

const keyOf = (name: string): StorageKey => ['understudy-claims', 'record', name];

/** Beside the relay's documents, in the same storage: encrypted where they are. */
export function recordsIn(storage: StorageAdapterInterface): ClaimRecords {
  return {
    load: (name) => storage.load(keyOf(name)),
    save: (name, bytes) => storage.save(keyOf(name), bytes),
  };
}
