import type { Clock } from '../time/clock.js';
import { holdersPart } from './limits.js';

/**
 * How long a holder may count on what it was given: from before it asked, on the clock that never jumps, and on the
 * wall clock too, which goes on while the machine sleeps. Whichever says that it is over is right.
 */
export class Lease {
  #asked: { monotonic: number; wall: number };
  #ms: number;

  constructor(
    private readonly clock: Clock,
    asked: { monotonic: number; wall: number },
    leaseMs: number,
  ) {
    this.#asked = asked;
    this.#ms = holdersPart(leaseMs);
  }

  static now(clock: Clock): { monotonic: number; wall: number } {
    return { monotonic: clock.monotonic(), wall: clock.now() };
  }

  /** Milliseconds; 0 when it is over. */
  get leftMs(): number {
    const passed = Math.max(
      this.clock.monotonic() - this.#asked.monotonic,
      this.clock.now() - this.#asked.wall,
    );
    return Math.max(0, this.#ms - passed);
  }

  renewed(asked: { monotonic: number; wall: number }, leaseMs: number): void {
    this.#asked = asked;
    this.#ms = holdersPart(leaseMs);
  }
}
