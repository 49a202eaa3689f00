import type { Touched } from '../documents/document.js';
import type { Log } from '../telemetry/log.js';
import type { NodeCounters } from './counters.js';

/**
 * Tells handlers which records were touched, never in the middle of a change: a handler may write, and the
 * Repo's handles do not bear a change inside a change. A record touched several times meanwhile is told once.
 */
export class ChangeEvents {
  readonly #handlers = new Set<(changed: Touched) => void>();
  readonly #pending = new Map<string, Touched>();

  constructor(
    private readonly counters: NodeCounters,
    private readonly log: Log,
  ) {}

  on(handle: (changed: Touched) => void): () => void {
    this.#handlers.add(handle);
    return () => this.#handlers.delete(handle);
  }

  touched(records: readonly Touched[]): void {
    if (this.#pending.size === 0) queueMicrotask(() => this.#deliver());
    for (const { kind, key } of records) this.#pending.set(`${kind} ${key}`, { kind, key });
  }

  #deliver(): void {
    const records = [...this.#pending.values()];
    this.#pending.clear();
    for (const record of records) {
      for (const handle of this.#handlers) {
        try {
          handle(record);
        } catch (error) {
          this.counters.failedHandlers += 1;
          this.log.error({ err: error, kind: record.kind }, 'a handler of changes threw');
        }
      }
    }
  }
}
