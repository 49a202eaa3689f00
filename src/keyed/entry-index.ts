import { ByAge, type Aged } from './by-age.js';
import { standing, takenTwice } from './rounds.js';
import type { Place, Registration, Row } from './row.js';

export interface EntryIndexOptions {
  /** How long an entry lives, milliseconds. */
  life: number;
  /** Older entries than so many newest ones are out of view; Infinity where none are evicted. */
  mostInView: number;
  /** A newer entry pushed one out of view. */
  evicted(key: string): void;
  /** An entry was found that two replicas took. */
  takenTwice(): void;
}

/** What stands at each key of a namespace, and in which order: rows of all open windows, without their values. */
export class EntryIndex {
  readonly #rows = new Map<string, readonly Row[]>();
  readonly #order = new ByAge();
  /** Rounds already told of as taken twice, by key. */
  readonly #twice = new Map<string, Set<number>>();

  constructor(private readonly options: EntryIndexOptions) {}

  rowsOf(key: string): readonly Row[] {
    return this.#rows.get(key) ?? [];
  }

  /** Takes a row in, or out; call {@link settle} for its key when all of them are in. */
  set(place: Place, row: Row | undefined): void {
    const others = this.rowsOf(place.key).filter(
      ({ window, round }) => window !== place.window || round !== place.round,
    );
    this.#put(place.key, row === undefined ? others : [...others, row]);
  }

  /** Forgets a window. */
  drop(window: number, now: number): void {
    for (const [key, rows] of [...this.#rows]) {
      const left = rows.filter((row) => row.window !== window);
      if (left.length === rows.length) continue;
      this.#put(key, left);
      this.settle(key, now, 'loading');
    }
  }

  /** Puts a key where its entry stands now; while running, what that does to others is told. */
  settle(key: string, now: number, phase: 'loading' | 'running'): void {
    this.#expire(now, phase);
    this.#move(key, now, phase);
    this.#countTwice(key, phase);
  }

  /** The entry that stands at a key and is in view. */
  standing(key: string, now: number): Registration | undefined {
    const found = standing(this.rowsOf(key), this.isLive(now));
    return found !== undefined && this.#isInView(key) ? found : undefined;
  }

  count(now: number): number {
    this.#expire(now);
    return Math.min(this.#order.size, this.options.mostInView);
  }

  /** Those in view, oldest first. */
  inView(now: number): Aged[] {
    this.#expire(now);
    return this.#order.newest(this.options.mostInView);
  }

  isLive(now: number): (at: number) => boolean {
    return (at) => now < at + this.options.life;
  }

  #put(key: string, rows: readonly Row[]): void {
    if (rows.length > 0) this.#rows.set(key, rows);
    else {
      this.#rows.delete(key);
      this.#twice.delete(key);
    }
  }

  #place(key: string, now: number): void {
    const found = standing(this.rowsOf(key), this.isLive(now));
    if (found === undefined) this.#order.delete(key);
    else this.#order.set(key, found.at);
  }

  /** Puts a key where it stands now; where it comes into view, another may go out of it. */
  #move(key: string, now: number, phase: 'loading' | 'running'): void {
    const before = this.#isInView(key);
    this.#place(key, now);
    if (before || !this.#isInView(key) || phase === 'loading') return;
    const out = this.#order.behind(this.options.mostInView);
    if (out !== undefined) this.options.evicted(out.key);
  }

  #isInView(key: string): boolean {
    return this.#order.has(key) && this.#order.newerThan(key) < this.options.mostInView;
  }

  /** Lives are alike, so that the oldest are over first; of their keys another entry may stand. */
  #expire(now: number, phase: 'loading' | 'running' = 'running'): void {
    const isLive = this.isLive(now);
    for (let one = this.#order.oldest(); one !== undefined && !isLive(one.at); one = this.#order.oldest()) {
      this.#move(one.key, now, phase);
    }
  }

  #countTwice(key: string, phase: 'loading' | 'running'): void {
    for (const round of takenTwice(this.rowsOf(key))) {
      const known = this.#twice.get(key) ?? new Set();
      if (known.has(round)) continue;
      this.#twice.set(key, known.add(round));
      if (phase === 'running') this.options.takenTwice();
    }
  }
}
