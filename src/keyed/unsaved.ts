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

  /** True when the oldest had to be given up for it. */
  set(place: Place, record: FieldMap): boolean {
    this.#records.set(nameOf(place), { place, record });
    if (this.#records.size <= this.most) return false;
    const [first] = this.#records.keys();
    return first !== undefined && this.#records.delete(first);
  }

  delete(place: Place): void {
    this.#records.delete(nameOf(place));
  }

  all(): { place: Place; record: FieldMap }[] {
    return [...this.#records.values()];
  }
}

const nameOf = ({ window, round, key }: Place): string => `${window} ${round} ${key}`;
