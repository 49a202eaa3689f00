import { z } from 'zod';
import type { KeyedStoreOptions } from '../../keyed/options.js';
import type { KeyedStore } from '../../keyed/store.js';
import type { Clock } from '../../time/clock.js';
import { NodeError } from '../errors.js';
import { until } from '../until.js';

const VALUES: KeyedStoreOptions<string> = {
  namespace: 'matrix-storage',
  class: 'durable',
  maxEntries: 50_000,
  persistent: true,
  shape: z.string(),
};

/** How soon it is looked again whether the disk took what a document could not take at once, milliseconds. */
const FLUSH_AGAIN_MS = 200;

/** What one place of values needs of its node. */
export interface ValuesContext {
  openStore(options: KeyedStoreOptions<string>): Promise<KeyedStore<string>>;
  clock: Clock;
  signal: AbortSignal;
}

/** Small texts by key, replicated to every replica; opened when they are first asked for. */
export class Values {
  #store: Promise<KeyedStore<string>> | undefined;

  constructor(
    private readonly context: ValuesContext,
    private readonly options: KeyedStoreOptions<string> = VALUES,
  ) {}

  /** @throws {KeyedStoreError} `bad-key`; {NodeError} `closed`. */
  async get(key: string): Promise<string | undefined> {
    return (await this.#opened()).lookup(key);
  }

  /**
   * Undefined takes it away. On this replica's disk when it resolves.
   *
   * @throws {KeyedStoreError} `bad-key`, `bad-value`, `full`; {NodeError} `closed`.
   */
  async set(key: string, value: string | undefined): Promise<void> {
    const store = await this.#opened();
    if (value === undefined) store.delete(key);
    else store.register(key, value);
    const { clock, signal } = this.context;
    try {
      await until(() => store.flush(), { clock, everyMs: FLUSH_AGAIN_MS, signal });
    } catch (error) {
      if (signal.aborted) throw new NodeError('closed', 'the node is closed', { cause: error });
      throw error;
    }
  }

  #opened(): Promise<KeyedStore<string>> {
    if (this.context.signal.aborted) return Promise.reject(new NodeError('closed', 'the node is closed'));
    this.#store ??= this.context.openStore(this.options);
    return this.#store;
  }
}
