import type { StorageKey } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { flatName, isDocumentChunk, placeOfKey } from './chunk-key.js';
import type { ChunkOp } from './chunk-store.js';
import { errnoOf } from './file-layer.js';
import type { StorageEvent } from './storage-event.js';

type Recovered = Extract<StorageEvent, { type: 'state:recovered' }>;

export interface DamageOptions {
  clock: Clock;
  log: Log;
  /** Something is on its way to be written in its place. */
  isReplaced: (key: StorageKey) => boolean;
  /** Queues the move; undefined when nothing is written any more. */
  put: (op: ChunkOp) => Promise<void> | undefined;
  found: (event: Recovered) => void;
}

/** What becomes of stored chunks that cannot be used: out of the way, said in the log, told to who heals them. */
export class Damage {
  constructor(private readonly options: DamageOptions) {}

  /** Resolves when the chunk has been moved, or could not be: that the move is on disk is nothing to wait for. */
  async quarantine(key: StorageKey, reason: string, size: number): Promise<void> {
    const { clock, log, put, isReplaced, found } = this.options;
    if (isReplaced(key)) return;
    const name = `${flatName(placeOfKey(key))}.${clock.now()}`;
    const { to, why } = await new Promise<{ to?: string | undefined; why?: unknown }>((resolve) => {
      const queued = put({ kind: 'quarantine', key, name, moved: (to, why) => resolve({ to, why }) });
      // A save that came meanwhile takes its place in the queue, and replaces the bad chunk.
      if (queued) void queued.then(() => resolve({}));
      else resolve({});
    });
    const document = documentOf(key);
    const lost = document === undefined ? 'a value of the repo' : `changes (${key[1]}) of a document`;
    log.error(
      { key, document, reason, size, lost, quarantined: to, error: why },
      'stored chunk is corrupt: going on without it',
    );
    found({ type: 'state:recovered', key, document, reason, quarantined: to });
  }

  unreadable(key: StorageKey, error: unknown): void {
    const document = documentOf(key);
    const reason = `cannot be read (${errnoOf(error) ?? String(error)})`;
    this.options.log.error(
      { key, document, reason },
      'stored chunk cannot be read: left in place, going on without it',
    );
    this.options.found({ type: 'state:recovered', key, document, reason, quarantined: undefined });
  }
}

const documentOf = (key: StorageKey): string | undefined => (isDocumentChunk(key) ? key[0] : undefined);
