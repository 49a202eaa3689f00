import { PARTS } from '../claims/claim.js';
import { authorityHead, readKept } from '../claims/head.js';
import type { Authority } from '../claims/authority.js';
import type { ClaimRecords } from './claim-records.js';

export const HEAD = 'authority';
export const partName = (part: number): string => `part-${part}`;

type Piece = number | 'head';
/** Parts first: once the head says that this relay took up a ballot, a part that is missing was lost. */
const pieces: readonly Piece[] = [...Array.from({ length: PARTS }, (_, part) => part), 'head'];

/** Another process writes to the same place: what this one holds in memory is out of date, for ever. */
export class NotOurs extends Error {
  constructor() {
    super('another relay writes to this storage');
    this.name = 'NotOurs';
  }
}

/** Puts what an authority has changed on disk, many changes in one go. */
export class ClaimWriter {
  readonly #written = new Map<Piece, number>();
  #writing: Promise<void> | undefined;

  constructor(
    private readonly authority: Authority,
    /** The head is kept apart: it may outlive parts that are kept in memory alone. */
    private readonly places: { head: ClaimRecords; parts: ClaimRecords },
    /** Of this process. */
    private readonly run: string,
  ) {}

  /** Resolves when the head, and the part, are on disk as they stand now. Rejects when they could not be written. */
  async settle(part?: number): Promise<void> {
    const wanted = (part === undefined ? (['head'] as const) : ([part, 'head'] as const)).map(
      (piece) => [piece, this.authority.version(piece)] as const,
    );
    while (wanted.some(([piece, version]) => (this.#written.get(piece) ?? 0) < version)) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  async #write(): Promise<void> {
    // Not before the first head is there: it says whose this place is.
    if (this.#written.has('head')) await this.#assertOurs();
    const due = pieces.filter((piece) => (this.#written.get(piece) ?? 0) < this.authority.version(piece));
    const save = async (piece: Piece): Promise<void> => {
      const version = this.authority.version(piece);
      const [place, name] =
        piece === 'head'
          ? ([this.places.head, HEAD] as const)
          : ([this.places.parts, partName(piece)] as const);
      await place.save(name, this.authority.bytes(piece));
      this.#written.set(piece, version);
    };
    await Promise.all(due.filter((piece) => piece !== 'head').map(save));
    if (due.includes('head')) await save('head');
    await this.#assertOurs();
  }

  /** A database that was out of reach for a while may have had another relay meanwhile. */
  async #assertOurs(): Promise<void> {
    const head = readKept(authorityHead, await this.places.head.load(HEAD));
    if (head?.run !== this.run) throw new NotOurs();
  }
}
