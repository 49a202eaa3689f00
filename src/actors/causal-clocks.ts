/** How many changes of each author a change knows, itself included: an author's changes follow one another. */
export type CausalClock = readonly number[];

/** Vector clocks of Automerge changes, from the dependencies that each change names. */
export class CausalClocks {
  readonly #authors = new Map<string, number>();
  readonly #clocks = new Map<string, CausalClock>();

  /** The next change, after those it rests on; one that is not there counts for nothing. */
  add(change: { hash: string; actor: string; seq: number; deps: readonly string[] }): {
    author: number;
    clock: CausalClock;
  } {
    const author = this.#authors.get(change.actor) ?? this.#authors.size;
    this.#authors.set(change.actor, author);
    const clock: number[] = [];
    for (const dep of change.deps) {
      for (const [index, seq] of (this.#clocks.get(dep) ?? []).entries()) {
        clock[index] = Math.max(clock[index] ?? 0, seq);
      }
    }
    while (clock.length <= author) clock.push(0);
    clock[author] = change.seq;
    this.#clocks.set(change.hash, clock);
    return { author, clock };
  }

  /** What two clocks both know. */
  static both(a: CausalClock, b: CausalClock): CausalClock {
    return a.map((seq, index) => Math.min(seq, b[index] ?? 0));
  }
}
