import type { DocumentId } from '@automerge/automerge-repo';
import type { Clock } from '../time/clock.js';

/** A Repo keeps some hundred bytes per document for every peer that ever left; at so many it is read anew. */
const mostDeparted = 256;
/** A Repo passes a change on within a tenth of a second; until then its document stays. */
const quietMs = 2_000;

/** Which documents of a relay are in use, and the heads (hex) of those that were and are on disk alone now. */
export class DocumentMemory {
  readonly #used = new Map<DocumentId, { at: number; departed: number }>();
  readonly #unloaded = new Map<DocumentId, string[]>();
  #departed = 0;

  constructor(
    private readonly clock: Clock,
    private readonly idleMs: number,
  ) {}

  used(id: DocumentId): void {
    const { departed } = this.#used.get(id) ?? { departed: this.#departed };
    this.#used.set(id, { at: this.clock.monotonic(), departed });
    this.#unloaded.delete(id);
  }

  peerLeft(): void {
    this.#departed += 1;
  }

  unloaded(id: DocumentId, heads: string[]): void {
    this.#used.delete(id);
    this.#unloaded.set(id, heads);
  }

  /** Of a document that is stored and not in memory; it has changed no more since. */
  headsOfUnloaded(id: DocumentId): string[] | undefined {
    return this.#unloaded.get(id);
  }

  /** Whether a document has not been used for so long that it may go. */
  isIdle(id: DocumentId): boolean {
    const use = this.#used.get(id);
    if (!use) {
      this.used(id);
      return false;
    }
    const forMs = this.clock.monotonic() - use.at;
    const hasManyDeparted = this.#departed - use.departed > mostDeparted;
    return forMs >= (hasManyDeparted ? Math.min(quietMs, this.idleMs) : this.idleMs);
  }
}
