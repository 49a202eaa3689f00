import type { Clock } from '../time/clock.js';

const most = 1_024;

/** Who may not come back for a while. Remembers the latest 1,024, so that nobody can fill it. */
export class Cooldown {
  readonly #until = new Map<string, number>();

  constructor(
    private readonly clock: Clock,
    private readonly ms: number,
  ) {}

  begin(key: string): void {
    this.#until.delete(key);
    this.#until.set(key, this.clock.monotonic() + this.ms);
    if (this.#until.size <= most) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      return;
    }
  }

  /** Milliseconds, 0 when it may come. */
  leftMs(key: string): number {
    return Math.max(0, (this.#until.get(key) ?? -Infinity) - this.clock.monotonic());
  }
}
