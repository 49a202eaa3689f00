import { ByAge } from './by-age.js';

/** Decoded values by key: at most so many, the oldest evicted, none beyond its life. */
export class Memory<V> {
  readonly #values = new Map<string, V>();
  readonly #order = new ByAge();

  constructor(
    private readonly limits: { life: number; maxEntries: number; evicts: boolean },
    private readonly evicted: () => void = () => {},
  ) {}

  get size(): number {
    return this.#order.size;
  }

  put(key: string, at: number, value: V): void {
    this.#values.set(key, value);
    this.#order.set(key, at);
    while (this.limits.evicts && this.#order.size > this.limits.maxEntries) {
      this.delete((this.#order.oldest() as { key: string }).key);
      this.evicted();
    }
  }

  get(key: string, now: number): V | undefined {
    this.expire(now);
    return this.#values.get(key);
  }

  delete(key: string): boolean {
    return this.#values.delete(key) && this.#order.delete(key);
  }

  clear(): void {
    for (const { key } of this.#order.newest()) this.delete(key);
  }

  /** Oldest first. */
  *entries(now: number): Iterable<{ key: string; at: number; value: V }> {
    this.expire(now);
    for (const { key, at } of this.#order.newest()) yield { key, at, value: this.#values.get(key) as V };
  }

  expire(now: number): void {
    for (let one = this.#order.oldest(); one !== undefined; one = this.#order.oldest()) {
      if (now < one.at + this.limits.life) return;
      this.delete(one.key);
    }
  }
}
