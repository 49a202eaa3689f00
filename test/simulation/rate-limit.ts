import { HomeserverError } from '../../src/matrix/homeserver.js';
import type { Clock } from '../../src/time/clock.js';
import type { SimulatedRequest } from './faults.js';

/** What Synapse's `rc_message` counts. */
const COUNTED = new Set(['send', 'redact', 'setState']);

export interface Limit {
  perSecond: number;
  burst: number;
  /** What a 429 asks for; default: until the next would pass. Undefined as an answer: it does not say. */
  asks?: (ms: number) => number | undefined;
}

/** The leaky bucket of one account, as Synapse keeps it: refused requests do not count. */
export class RateLimit {
  #level = 0;
  #at: number;
  /** Requests that were refused. */
  refused = 0;
  /** Requests that passed, by when. */
  readonly passed: number[] = [];

  constructor(
    readonly user: string,
    private readonly limit: Limit,
    private readonly clock: Clock,
  ) {
    this.#at = clock.monotonic();
  }

  refusalOf({ user, call }: SimulatedRequest): HomeserverError | undefined {
    if (user !== this.user || !COUNTED.has(call)) return undefined;
    const { perSecond, burst, asks = (ms: number) => ms } = this.limit;
    const now = this.clock.monotonic();
    this.#level = Math.max(0, this.#level - ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    if (this.#level + 1 <= burst) {
      this.#level += 1;
      this.passed.push(now);
      return undefined;
    }
    this.refused += 1;
    const retryAfterMs = asks(Math.ceil(((this.#level + 1 - burst) / perSecond) * 1000));
    const detail = { status: 429, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    return new HomeserverError('rate-limited', 'simulated limit', detail);
  }
}
