interface Item {
  readonly at: number;
  readonly actor: string;
}

/** Actors by the time at which something of theirs is looked at next: a binary heap, one entry per actor that counts. */
export class Agenda {
  readonly #heap: Item[] = [];
  readonly #next = new Map<string, number>();

  /** Looks at an actor at a time, and not at the one set before. */
  set(actor: string, at: number): void {
    if (this.#next.get(actor) === at) return;
    this.#next.set(actor, at);
    this.#heap.push({ at, actor });
    this.#up(this.#heap.length - 1);
  }

  remove(actor: string): void {
    this.#next.delete(actor);
  }

  /** The earliest time, Infinity when there is none. */
  first(): number {
    for (let item = this.#heap[0]; item !== undefined; item = this.#heap[0]) {
      if (this.#next.get(item.actor) === item.at) return item.at;
      this.#pop();
    }
    return Infinity;
  }

  /** Takes out the actors whose time has come. */
  take(now: number): string[] {
    const due: string[] = [];
    while (this.first() <= now) {
      const { actor } = this.#heap[0] as Item;
      this.#pop();
      this.#next.delete(actor);
      due.push(actor);
    }
    return due;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent) <= this.#at(index)) return;
      this.#swap(parent, index);
      index = parent;
    }
  }

  #down(from: number): void {
    let index = from;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(index) <= this.#at(child)) return;
      this.#swap(index, child);
      index = child;
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Infinity;
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b] as Item, this.#heap[a] as Item];
  }
}
