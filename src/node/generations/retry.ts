import type { Cancel, Clock } from '../../time/clock.js';

const FIRST_MS = 1000;
/** As often as everything is looked at in any case. */
const MOST_MS = 30_000;

/** Tries again what failed: after a second, and twice as late each time that it fails again. */
export class Retry {
  #wait = FIRST_MS;
  #planned: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly run: () => void,
  ) {}

  soon(): void {
    if (this.#planned !== undefined) return;
    this.#planned = this.clock.after(this.#wait, () => {
      this.#planned = undefined;
      this.run();
    });
    this.#wait = Math.min(2 * this.#wait, MOST_MS);
  }

  succeeded(): void {
    this.#wait = FIRST_MS;
    this.cancel();
  }

  cancel(): void {
    this.#planned?.();
    this.#planned = undefined;
  }
}
