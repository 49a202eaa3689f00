import type { FieldMap } from '../documents/record.js';
import type { Place } from './row.js';

/** Records that their document could not take yet, in the order in which they came; they count like those in documents. */
export class Unsaved {
  readonly #records = new Map<string, { place: Place; record: FieldMap }>();

  constructor(private readonly most: number) {}

  get size(): number {
    return this.#records.size;
  }

  at(place: Place): FieldMap | undefined {
    return this.#records.get(nameOf(place))?.record;
  }

  /** Gives the place of one that had to be given up for it, if any. */
  set(place: Place, record: FieldMap): Place | undefined {
    this.#records.set(nameOf(place), { place, record });
    if (this.#records.size <= this.most) return undefined;
    const [first] = this.#records.values();
    if (first !== undefined) this.delete(first.place);
    return first?.place;
  }

  delete(place: Place): void {
    this.#records.delete(nameOf(place));
  }

  all(): { place: Place; record: FieldMap }[] {
    return [...this.#records.values()];
  }
}

const nameOf = ({ window, round, key }: Place): string => `${window} ${round} ${key}`;
