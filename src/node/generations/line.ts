import { chainOf, settledOf } from './chain.js';
import type { Cut } from './cut.js';

/**
 * What the cut records of one shard say of its generations: which line of them counts, of which something may still
 * come, and which were replaced for good. A generation is named by the cut that began it, the first one by none.
 */
export class Line {
  readonly chain: readonly Cut[];
  readonly #settled: ReadonlySet<Cut>;

  constructor(private readonly cuts: readonly Cut[] = []) {
    this.chain = chainOf(cuts);
    this.#settled = settledOf(this.chain);
  }

  /** The generation that is to be the current one. */
  get end(): Cut | undefined {
    return this.chain.at(-1);
  }

  /** All that there ever were, with those that lost. */
  get generations(): (Cut | undefined)[] {
    return [undefined, ...this.cuts];
  }

  /** The generation that a cut follows. */
  before({ parent, generation }: Cut): Cut | undefined {
    return this.cuts.find((one) => one.id === parent && one.generation === generation - 1);
  }

  /** The generation on the line that follows this one; undefined for the last one and for those that lost. */
  after(cut: Cut | undefined): Cut | undefined {
    const next = this.chain[cut?.generation ?? 0];
    return next?.parent === (cut?.id ?? '') ? next : undefined;
  }

  /** Whether changes of it may still arrive that nobody else takes over: its successor is not settled. */
  isAwaited(cut: Cut | undefined): boolean {
    if (this.isSuperseded(cut)) return false;
    const id = cut?.id ?? '';
    if (this.end?.parent === id) return true;
    const lost = (one: Cut): boolean => !this.#counts(one) && !this.isSuperseded(one);
    return (cut !== undefined && lost(cut)) || this.cuts.some((one) => one.parent === id && lost(one));
  }

  /** A settled cut has taken its place: every member has taken over what it held of it. */
  isSuperseded(cut: Cut | undefined): boolean {
    // What lost parted from the line somewhere, at the latest in its own generation.
    const replacement = this.#parted(cut) ?? this.after(cut);
    return replacement !== undefined && this.#settled.has(replacement);
  }

  #counts(cut: Cut): boolean {
    return this.chain[cut.generation - 1]?.id === cut.id;
  }

  /** The cut on the line in whose place the way to this generation parted from it; undefined where it never did. */
  #parted(cut: Cut | undefined): Cut | undefined {
    let winner: Cut | undefined;
    for (let one = cut; one !== undefined && !this.#counts(one); one = this.before(one)) {
      winner = this.chain[one.generation - 1];
    }
    return winner;
  }
}
