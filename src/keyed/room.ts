import type { Log } from '../telemetry/log.js';
import type { KeyedCounters } from './counters.js';
import { KeyedStoreError } from './errors.js';
import type { NamespaceLimits } from './options.js';

/** Parts of `maxEntries` at which a durable namespace warns, and below which it may warn again. */
const WARN_FROM = 0.9;
const CALM_BELOW = 0.8;

/** The room that is left in a durable namespace: one that may evict always has some. */
export class Room {
  #warned = false;

  constructor(
    private readonly limits: NamespaceLimits,
    private readonly counters: KeyedCounters,
    private readonly log: Log,
  ) {}

  /** @throws {KeyedStoreError} `full`, when so many entries stand that another has no room. */
  assertFor(standing: number): void {
    if (!this.#isFull(standing)) return;
    const { namespace, maxEntries } = this.limits;
    this.counters.refusedFull += 1;
    throw new KeyedStoreError(
      'full',
      `${namespace} holds ${maxEntries} entries, all that it may: consume or delete some, or open it with more maxEntries`,
    );
  }

  /** So many stand now: warns before it is full, once until there is room again. */
  taken(standing: number): void {
    const { namespace, maxEntries } = this.limits;
    if (this.limits.class !== 'durable') return;
    if (standing < CALM_BELOW * maxEntries) this.#warned = false;
    if (this.#warned || standing < WARN_FROM * maxEntries) return;
    this.#warned = true;
    this.log.warn(
      { namespace, entries: standing, maxEntries },
      'a durable namespace is nearly full: registering will fail soon',
    );
  }

  #isFull(standing: number): boolean {
    return this.limits.class === 'durable' && standing >= this.limits.maxEntries;
  }
}
