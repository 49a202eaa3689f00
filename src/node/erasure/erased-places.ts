import { digest } from '../../documents/digest.js';
import type { Stamp } from '../../documents/stamp.js';

/** How far a place is forgotten. */
export interface Forgotten {
  /** Stamp up to which everything of it is gone. */
  readonly to: Stamp;
  /** What the person said before is not answered any more, milliseconds. */
  readonly at: number;
}

/** Hashes that are remembered; more are made again. */
const MOST_KNOWN = 100_000;

/**
 * Which places, persons and rooms, were forgotten (docs/decisions/0017). The records name them by a hash that takes
 * the cluster's secret id, so that nobody can try names on a stolen document; who asks brings the name.
 */
export class ErasedPlaces {
  readonly #forgotten = new Map<string, Forgotten>();
  readonly #hashes = new Map<string, string>();

  constructor(private readonly clusterId: string) {}

  hashOf(place: string): string {
    const known = this.#hashes.get(place);
    if (known !== undefined) return known;
    const hash = digest('understudy-erasure', this.clusterId, place).toString('base64url').slice(0, 22);
    if (this.#hashes.size >= MOST_KNOWN) this.#hashes.clear();
    this.#hashes.set(place, hash);
    return hash;
  }

  /** Nothing was ever forgotten: nobody need ask. */
  get none(): boolean {
    return this.#forgotten.size === 0;
  }

  of(place: string): Forgotten | undefined {
    return this.none ? undefined : this.#forgotten.get(this.hashOf(place));
  }

  /** Takes a record up; true when the place is forgotten further than it was. */
  learn(hash: string, { to, at }: Forgotten): boolean {
    const before = this.#forgotten.get(hash);
    if (before !== undefined && before.to >= to && before.at >= at) return false;
    this.#forgotten.set(hash, { to: Math.max(to, before?.to ?? 0), at: Math.max(at, before?.at ?? 0) });
    return true;
  }
}
