import { isUnknownEndpoint } from '../matrix/refusal.js';
import type { Clock } from '../time/clock.js';

const MISLED_MS = 60_000;

/**
 * An endpoint that the homeserver may lack. What it says to know nothing of for a minute on end it has none of; until then
 * it is an outage, because a worker that is misled says the same (docs/decisions/0030).
 */
export class Lacking {
  private since: number | undefined;

  constructor(private readonly clock: Pick<Clock, 'monotonic'>) {}

  /** Gives `none` where the homeserver lacks it. Rejects as `ask`. */
  async orNone<T, N>(ask: () => Promise<T>, none: N): Promise<T | N> {
    try {
      const answer = await ask();
      this.since = undefined;
      return answer;
    } catch (error) {
      if (!isUnknownEndpoint(error)) throw error;
      const now = this.clock.monotonic();
      this.since ??= now;
      if (now - this.since < MISLED_MS) throw error;
      return none;
    }
  }
}
