import type { StorageKey } from '@automerge/automerge-repo';

/** What happened to what is stored, for health, metrics and whoever heals documents from peers. */
export type StorageEvent =
  /** A stored chunk was not what was written; the repo goes on without it. `document` is partial until healed. */
  | {
      type: 'state:recovered';
      key: StorageKey;
      document: string | undefined;
      reason: string;
      /** Its place now; undefined when it could not be moved or read. */
      quarantined: string | undefined;
    }
  /** Writes failed, are kept in memory and tried again in `retryMs`. */
  | { type: 'state:save-error'; code: string; failed: number; attempt: number; retryMs: number }
  /** All that had failed is on disk now. */
  | { type: 'state:save-restored'; attempts: number };

/** How the writes stand: `failing` when something waits that the disk or server has refused, or the server is gone. */
export interface StorageStatus {
  state: 'idle' | 'writing' | 'failing' | 'closed';
  pendingWrites: number;
  pendingBytes: number;
  /** When something was last put on disk, milliseconds since 1970; undefined before. */
  lastSavedAt: number | undefined;
  /** Since the start: chunks saved, attempts to save one that failed, chunks found damaged or unreadable. */
  saved: number;
  saveErrors: number;
  recovered: number;
}
