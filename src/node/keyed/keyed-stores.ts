import type { Touched } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import type { KeyedCounters } from '../../keyed/counters.js';
import { KeyedStoreError } from '../../keyed/errors.js';
import { limitsOf, type KeyedStoreOptions } from '../../keyed/options.js';
import { PersistentEntries } from '../../keyed/persistent.js';
import { KeyedStore } from '../../keyed/store.js';
import { Windows } from '../../keyed/windows.js';
import type { DurableStorage } from '../../storage/durable.js';
import type { Log } from '../../telemetry/log.js';
import type { Cancel, Clock } from '../../time/clock.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import { NamespaceDocuments } from './namespace-documents.js';
import { Sweep } from './sweep.js';
import type { KnownWindows } from './window-file.js';

/** How often windows are opened and closed, and entries looked after, milliseconds. */
const TEND_MS = 60_000;
/** How soon what failed is tried again, milliseconds. */
const RETRY_MS = 5_000;

export interface KeyedStoresContext {
  documents: OpenDocuments;
  storage: Pick<DurableStorage, 'removeRange'>;
  known: KnownWindows;
  replica: string;
  /** The highest schema that this software knows. */
  schema: number;
  epoch(): number;
  sent(document: OpenDocument, bytes: Uint8Array): void;
  counters: KeyedCounters;
  count: CountMalformed;
  clock: Clock;
  log: Log;
}

interface Opened {
  readonly store: Pick<KeyedStore<unknown>, 'size' | 'touched' | 'tend'>;
  readonly documents: NamespaceDocuments | undefined;
}

/** The keyed stores of a node (docs/decisions/0011): opens them, and looks after their documents. */
export class KeyedStores {
  readonly #open = new Map<string, Opened>();
  #tending: Cancel | undefined;
  #retry: Cancel | undefined;
  #closed = false;
  readonly #sweep: Sweep;

  constructor(private readonly context: KeyedStoresContext) {
    const held = (id: string): boolean =>
      [...this.#open.values()].some(({ documents }) => documents?.holds(id) === true);
    this.#sweep = new Sweep({
      ...context,
      held,
      failed: (error) => {
        this.#failed(error, 'documents of keyed stores that are over could not be taken from the disk');
        this.#tryAgain();
      },
    });
  }

  /**
   * Resolves when what stands on this disk of the namespace can be looked up, or when it was seen that it cannot: then
   * the store begins in memory, and takes the documents in when they can be opened.
   *
   * @throws {KeyedStoreError} `bad-options`, `already-open`.
   */
  async open<V>(options: KeyedStoreOptions<V>): Promise<KeyedStore<V>> {
    const limits = limitsOf(options);
    const { namespace } = limits;
    if (this.#open.has(namespace)) {
      throw new KeyedStoreError('already-open', `the namespace ${namespace} is open in this process already`);
    }
    const { clock, counters, replica } = this.context;
    const log = this.context.log.child({ part: 'keyed' });
    const windows = new Windows(namespace, limits.ttl);
    const documents = limits.persistent
      ? new NamespaceDocuments({
          ...this.context,
          windows,
          log,
          opened: (window) => store.opened(window),
          closed: (window) => store.closed(window),
          letGo: () => this.sweep(),
        })
      : undefined;
    const persistent =
      documents &&
      new PersistentEntries({
        limits,
        windows,
        rows: documents,
        replica,
        counters,
        log,
        evicted: (key) => store.evicted(key),
      });
    const store = new KeyedStore<V>({
      limits,
      shape: options.shape,
      clock,
      log,
      counters,
      replica,
      ...(persistent && { persistent }),
      flushed: async () =>
        documents === undefined || ((await documents.flush()) && persistent?.unsaved === 0),
      close: async () => {
        await documents?.close();
        if (this.#open.get(namespace)?.store === store) this.#open.delete(namespace);
      },
    });
    this.#open.set(namespace, { store, documents });
    if (documents !== undefined) {
      this.#tending ??= clock.every(TEND_MS, () => this.#tendNow());
      if (!(await documents.tend(clock.now()))) this.#tryAgain();
    }
    return store;
  }

  /** A document has changed: a store that has it open hears of it. */
  touched(document: OpenDocument, touched: readonly Touched[]): void {
    for (const { store, documents } of this.#open.values()) {
      const window = documents?.changed(document);
      if (window === undefined) continue;
      for (const { kind, key } of touched) if (kind === 'keyed') store.touched(window, key);
    }
  }

  /** Entries that stand, by namespace. */
  entries(): Map<string, number> {
    return new Map([...this.#open].map(([namespace, { store }]) => [namespace, store.size]));
  }

  /** Opens and closes windows, takes from the disk what is over, and looks after entries. */
  async tend(): Promise<void> {
    if (this.#closed) return;
    const { clock } = this.context;
    const tended = await Promise.all(
      [...this.#open.values()].map(async ({ store, documents }) => {
        const done = (await documents?.tend(clock.now())) ?? true;
        store.tend();
        return done;
      }),
    );
    this.sweep();
    if (tended.includes(false)) this.#tryAgain();
  }

  /** Begins to take from the disk what is over, also what an earlier process left of it. */
  sweep(): void {
    if (!this.#closed) this.#sweep.begin();
  }

  /** Stops looking after the stores; they go on in memory. The documents are the node's to close. */
  close(): void {
    this.#closed = true;
    this.#tending?.();
    this.#retry?.();
    for (const { documents } of this.#open.values()) documents?.stop();
  }

  #tryAgain(): void {
    if (this.#closed) return;
    this.#retry ??= this.context.clock.after(RETRY_MS, () => {
      this.#retry = undefined;
      this.#tendNow();
    });
  }

  #tendNow(): void {
    this.tend().catch((error: unknown) => this.#failed(error, 'keyed stores could not be looked after'));
  }

  #failed(error: unknown, message: string): void {
    this.context.counters.persistenceErrors += 1;
    this.context.log.error({ err: error }, message);
  }
}
