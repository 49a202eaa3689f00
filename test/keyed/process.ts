import type { KeyedCounters } from '../../src/keyed/counters.js';
import { KeyedStores } from '../../src/node/keyed/keyed-stores.js';
import type { KnownWindow, KnownWindows } from '../../src/node/keyed/window-file.js';
import type { Log } from '../../src/telemetry/log.js';
import type { Clock } from '../../src/time/clock.js';
import type { Disk } from '../actors/properties/disk.js';
import { Documents } from '../actors/properties/documents.js';

export interface ProcessOptions {
  name: string;
  disk: Disk;
  known: KnownWindows;
  counters: KeyedCounters;
  clock: Clock;
  log: Log;
  /** What a peer's bytes got wrong. */
  malformed(what: string): void;
  /** A change of its own, to a document. */
  made?(document: string): void;
}

/** The keyed stores of a process over real documents and the real Saver, without a network. */
export function startStores(options: ProcessOptions): { documents: Documents; stores: KeyedStores } {
  const { name, disk, known, counters, clock, log } = options;
  const adapter = disk.adapter();
  const documents = new Documents({
    storage: adapter,
    clock,
    log,
    onTouched: (document, touched) => stores.touched(document, touched),
  });
  const stores = new KeyedStores({
    documents: documents.surface,
    storage: { removeRange: (prefix) => adapter.removeRange(prefix) },
    known,
    schema: 1,
    replica: name,
    epoch: () => 0,
    sent: ({ id }) => options.made?.(id),
    counters,
    count: (what) => options.malformed(what),
    clock,
    log,
  });
  return { documents, stores };
}

/** `keyed.json` of a replica, in memory: it outlives its processes. */
export class Known implements KnownWindows {
  readonly ever = new Set<string>();
  readonly #windows = new Map<string, number>();

  all(): readonly KnownWindow[] {
    return [...this.#windows].map(([id, overAt]) => ({ id, overAt }));
  }

  begin(windows: readonly KnownWindow[]): Promise<void> {
    for (const { id, overAt } of windows) {
      this.#windows.set(id, overAt);
      this.ever.add(id);
    }
    return Promise.resolve();
  }

  end(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#windows.delete(id);
    return Promise.resolve();
  }
}
