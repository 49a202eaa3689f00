import type { StorageKey } from '@automerge/automerge-repo';
import type { Failures } from './write-queue.js';

/** A look at one stored key. `unreadable` is the disk's fault and leaves the chunk where it is. */
export type Look =
  | { state: 'absent' }
  | { state: 'good'; bytes: Uint8Array }
  | { state: 'bad'; reason: string; size: number }
  | { state: 'unreadable'; error: unknown };

/** One thing to do to a stored key. */
export type ChunkOp =
  | { kind: 'save'; key: StorageKey; bytes: Uint8Array }
  | { kind: 'remove'; key: StorageKey }
  /** Takes a bad chunk out of the way, under a name; `moved` hears where it went, or why it could not be moved. */
  | {
      kind: 'quarantine';
      key: StorageKey;
      name: string;
      moved: (to: string | undefined, why?: unknown) => void;
    };

/**
 * Where chunks are kept: a folder, memory, a PostgreSQL server. It carries out and verifies; what is queued, tried
 * again and told to others is the affair of `DurableStorage`, alike for all.
 */
export interface ChunkStore {
  /** For the log: a folder, or a server without its password. */
  readonly place: string;
  /** It cannot be reached, whether or not something waits to be written. */
  readonly isLost?: boolean;
  /** Before anything else; again when it was rejected. */
  open(): Promise<void>;
  /**
   * Finds and verifies what is stored under a key; changes nothing.
   *
   * @throws when nothing may be said of the key: too many open files, a server out of reach.
   */
  look(key: StorageKey): Promise<Look>;
  /** The stored keys that begin with `prefix`, part by part, in the order of {@link byKey}. */
  keys(prefix: StorageKey): Promise<StorageKey[]>;
  /**
   * Carries a batch out, saves before removals. What it does not name as failed outlives a loss of power, and each
   * key holds its old bytes or its new ones, whatever happens meanwhile. Never rejects.
   */
  commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures>;
  close(): Promise<void>;
}

/** What can be read of a store. */
export type ChunkSource = Pick<ChunkStore, 'look' | 'keys'>;

/** Part by part, by UTF-16 code units; a key before those that it begins. */
export function byKey(one: StorageKey, other: StorageKey): number {
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    const [a = '', b = ''] = [one[at], other[at]];
    if (a !== b) return a < b ? -1 : 1;
  }
  return one.length - other.length;
}
