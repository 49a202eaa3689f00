import { compareTokens, tokenText, type FencingToken } from '../../../src/claims/token.js';

/** One that was told that it holds a key, for as long as it believes so. */
export interface Holder {
  replica: string;
  key: string;
  token: FencingToken;
  /** By its own clock, as it would see it if it looked now. */
  believes(): boolean;
}

/** Sees everything that happens, in true time, and what of it may not. */
export class Judge {
  readonly counts = { grants: 0, acts: 0, fenced: 0, consumed: 0 };
  readonly #holders = new Set<Holder>();
  readonly #owners = new Map<string, string>();
  readonly #consumed = new Map<string, FencingToken>();
  readonly #highest = new Map<string, { token: FencingToken; replica: string }>();

  granted(holder: Holder): void {
    this.counts.grants += 1;
    const text = tokenText(holder.token);
    const owner = this.#owners.get(text);
    if (owner !== undefined) throw new Error(`${text} was handed out twice: ${owner} and ${holder.replica}`);
    this.#owners.set(text, holder.replica);
    const consumed = this.#consumed.get(holder.key);
    if (consumed !== undefined && compareTokens(holder.token, consumed) > 0) {
      throw new Error(`${holder.key} was given to ${holder.replica} after it was consumed`);
    }
    for (const other of this.#holders) {
      if (other.key === holder.key && other.believes()) {
        throw new Error(`${holder.key} is held by ${other.replica} and ${holder.replica}`);
      }
    }
    this.#holders.add(holder);
  }

  gone(holder: Holder): void {
    this.#holders.delete(holder);
  }

  committed({ key, token }: Holder): void {
    this.counts.consumed += 1;
    const before = this.#consumed.get(key);
    if (before !== undefined && compareTokens(before, token) !== 0)
      throw new Error(`${key} was consumed twice`);
    this.#consumed.set(key, token);
  }

  /** A resource that keeps the highest token it has seen, and serves no lower one. */
  acts({ key, token, replica }: Holder): boolean {
    const highest = this.#highest.get(key);
    const order = highest === undefined ? 1 : compareTokens(token, highest.token);
    if (order < 0) {
      this.counts.fenced += 1;
      return false;
    }
    if (order === 0 && highest?.replica !== replica) throw new Error(`two act on ${key} with one token`);
    this.#highest.set(key, { token, replica });
    this.counts.acts += 1;
    return true;
  }
}
