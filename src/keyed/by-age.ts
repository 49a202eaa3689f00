/** A key with the time of its entry, milliseconds. */
export interface Aged {
  readonly at: number;
  readonly key: string;
}

/** Keys in order of (time, key), oldest first: the same order on every replica. */
export class ByAge {
  readonly #order: Aged[] = [];
  readonly #times = new Map<string, number>();

  get size(): number {
    return this.#order.length;
  }

  has(key: string): boolean {
    return this.#times.has(key);
  }

  set(key: string, at: number): void {
    if (this.#times.get(key) === at) return;
    this.delete(key);
    this.#times.set(key, at);
    this.#order.splice(this.#indexOf(at, key), 0, { at, key });
  }

  delete(key: string): boolean {
    const at = this.#times.get(key);
    if (at === undefined) return false;
    this.#times.delete(key);
    this.#order.splice(this.#indexOf(at, key), 1);
    return true;
  }

  oldest(): Aged | undefined {
    return this.#order[0];
  }

  /** How many are newer. */
  newerThan(key: string): number {
    const at = this.#times.get(key);
    return at === undefined ? this.#order.length : this.#order.length - 1 - this.#indexOf(at, key);
  }

  /** The one that this many are newer than. */
  behind(newer: number): Aged | undefined {
    return newer < this.#order.length ? this.#order[this.#order.length - 1 - newer] : undefined;
  }

  /** The newest of them, oldest first; all without a number. */
  newest(most = this.#order.length): Aged[] {
    return this.#order.slice(Math.max(0, this.#order.length - most));
  }

  #indexOf(at: number, key: string): number {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const one = this.#order[middle] as Aged;
      if (one.at < at || (one.at === at && one.key < key)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
