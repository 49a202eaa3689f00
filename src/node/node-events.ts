import type { StorageEvent } from '../storage/storage-event.js';
import type { Log } from '../telemetry/log.js';
import type { NodeCounters } from './counters.js';
import type { MigratedEvent } from './migrations/status.js';

/**
 * A document of this disk was damaged, and this is what became of it:
 * - `quarantined`: a stored chunk was not what was written; it was put aside, and the document may lack its changes.
 * - `from-backup`: what a backup has of the document was merged in.
 * - `not-in-backup`: no good backup holds it.
 * - `from-peers`: a relay has brought it further than this disk had it.
 */
export interface DocumentRecovered {
  readonly type: 'state:recovered';
  readonly step: 'quarantined' | 'from-backup' | 'not-in-backup' | 'from-peers';
  /** Name, such as `routing/3`, or id where only that is known; undefined for what is of no document. */
  readonly document: string | undefined;
  /** Words for an operator: what was wrong, or which backup it was. */
  readonly reason: string;
  /** Where the damaged bytes lie now; undefined where nothing was moved. */
  readonly quarantined: string | undefined;
}

/** What happened to the state that a node keeps on its disk. */
export type NodeEvent =
  DocumentRecovered | MigratedEvent | Exclude<StorageEvent, { type: 'state:recovered' }>;

/** So many are told to who comes late: a disk that lost everything has many to tell. */
const MOST_KEPT = 1000;

/**
 * Tells what happened to what a node keeps. Most of it happens while the node opens, before anybody can listen, so
 * that who comes late is told that first: the latest {@link MOST_KEPT}. A handler that throws harms nobody.
 */
export class NodeEvents {
  readonly #handlers = new Set<(event: NodeEvent) => void>();
  readonly #past: NodeEvent[] = [];

  constructor(
    private readonly counters: Pick<NodeCounters, 'failedHandlers'>,
    private readonly log: Log,
  ) {}

  readonly emit = (event: NodeEvent): void => {
    this.#past.push(event);
    if (this.#past.length > MOST_KEPT) this.#past.shift();
    for (const handle of [...this.#handlers]) this.#tell(handle, event);
  };

  on(handle: (event: NodeEvent) => void): () => void {
    // A copy: what a handler brings about is told to it once.
    for (const event of [...this.#past]) this.#tell(handle, event);
    this.#handlers.add(handle);
    return () => this.#handlers.delete(handle);
  }

  #tell(handle: (event: NodeEvent) => void, event: NodeEvent): void {
    try {
      handle(event);
    } catch (error) {
      this.counters.failedHandlers += 1;
      this.log.error({ err: error, event: event.type }, 'a handler of what happened to the state threw');
    }
  }
}
