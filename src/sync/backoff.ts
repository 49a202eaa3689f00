/** Waits between attempts to connect, in milliseconds: the first 50–100, doubling, never above `capMs`. */
export class Backoff {
  #failures = 0;

  constructor(
    private readonly capMs = 5_000,
    private readonly random: () => number = Math.random,
  ) {}

  next(): number {
    const ceiling = Math.min(this.capMs, 100 * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return ceiling * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}
