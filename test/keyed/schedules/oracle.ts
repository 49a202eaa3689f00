/** Something that a replica did to a key. Every registration has a token of its own as its value. */
export interface Op {
  readonly kind: 'register' | 'end';
  readonly key: string;
  readonly token: number;
  /** Time of a registration, milliseconds. */
  readonly at: number;
  /** What the replica had heard of when it did so. */
  readonly heard: ReadonlySet<Op>;
  /** It wrote no change when it was done: the window was not open. Nothing is said of such a key. */
  vague: boolean;
}

/** What one replica, or a relay, has heard of, by the documents that carried it. */
export class Knowledge {
  /** Of the documents that stand here. */
  readonly documents = new Map<string, Set<Op>>();
  heard = new Set<Op>();
  #durable: { documents: Map<string, Set<Op>>; heard: Set<Op> } = { documents: new Map(), heard: new Set() };
  /** Done here, and not written to any document yet. */
  pending: Op[] = [];

  carries(document: string, op: Op): void {
    this.of(document).add(op);
    this.heard.add(op);
  }

  of(document: string): Set<Op> {
    const known = this.documents.get(document) ?? new Set();
    this.documents.set(document, known);
    return known;
  }

  /** A document was merged with another replica's. */
  merge(document: string, other: Knowledge): void {
    for (const op of [...other.of(document)]) this.carries(document, op);
    for (const op of [...this.of(document)]) other.carries(document, op);
  }

  flushed(): void {
    const documents = new Map([...this.documents].map(([id, ops]) => [id, new Set(ops)]));
    this.#durable = { documents, heard: new Set([...this.heard].filter((op) => !this.pending.includes(op))) };
  }

  killed(): void {
    this.documents.clear();
    for (const [id, ops] of this.#durable.documents) this.documents.set(id, new Set(ops));
    this.heard = new Set(this.#durable.heard);
    this.pending = [];
  }
}

/**
 * Keys of which an entry must stand: somebody registered it having heard of every end of that key that anybody heard
 * of, nobody ended it since, and no registration of it is over or will be within `marginMs`.
 */
export function mustStand(heard: ReadonlySet<Op>, now: number, lifeMs: number, marginMs: number): string[] {
  const keys = new Map<string, Op[]>();
  for (const op of heard) keys.set(op.key, [...(keys.get(op.key) ?? []), op]);
  return [...keys]
    .filter(([, ops]) => {
      if (ops.some(({ vague }) => vague)) return false;
      const ends = ops.filter(({ kind }) => kind === 'end');
      const after = ops.filter(
        ({ kind, heard: before }) => kind === 'register' && ends.every((end) => before.has(end)),
      );
      return after.length > 0 && after.every(({ at }) => now < at + lifeMs - marginMs);
    })
    .map(([key]) => key);
}
