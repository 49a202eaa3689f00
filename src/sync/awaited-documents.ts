import type { DocumentId } from '@automerge/automerge-repo';
import type { Clock } from '../time/clock.js';

/** What was announced, was never delivered, and nobody says any longer to have, is forgotten after so long. */
const awaitedMs = 120_000;

/** Who announced a document. */
export interface Announcer {
  /** The hash of the token that it came with. */
  readonly token: string;
  end(reason: 'too-many-documents'): void;
}

export interface AwaitedOptions {
  /** Over all connections. */
  most: number;
  clock: Clock;
  hasArrived(id: DocumentId): boolean;
  /** Takes what nobody brings out of memory; false: somebody may still bring it. */
  forget(id: DocumentId): boolean;
}

/**
 * Documents that somebody announced and of which nothing has arrived, each of which holds about 100 KB: bounded, and
 * when all places are taken, whoever has taken the most of them makes room, so that one that announces without end
 * keeps nobody else from bringing documents.
 */
export class AwaitedDocuments<A extends Announcer> {
  readonly #waiting = new Map<DocumentId, { since: number; by: A | undefined }>();

  constructor(private readonly options: AwaitedOptions) {}

  get size(): number {
    return this.#waiting.size;
  }

  /** False: there is no place for it, and it is this announcer who has the most. */
  add(id: DocumentId, by: A): boolean {
    if (this.#isFull) this.noteArrivals();
    if (this.#isFull) this.#forgetThose((entry) => entry.by === undefined);
    if (this.#isFull) this.#makeRoomFor(by);
    if (this.#isFull) return false;
    this.#waiting.set(id, { since: this.options.clock.monotonic(), by });
    return true;
  }

  /** Its connection is over: what it announced may be brought by another, and is the first to go. */
  left(by: A): void {
    for (const entry of this.#waiting.values()) if (entry.by === by) entry.by = undefined;
  }

  noteArrivals(): void {
    for (const id of this.#waiting.keys()) if (this.options.hasArrived(id)) this.#waiting.delete(id);
  }

  sweep(): void {
    this.noteArrivals();
    const now = this.options.clock.monotonic();
    this.#forgetThose(({ since }) => now - since > awaitedMs);
  }

  get #isFull(): boolean {
    return this.#waiting.size >= this.options.most;
  }

  #forgetThose(which: (entry: { since: number; by: A | undefined }) => boolean): void {
    for (const [id, entry] of this.#waiting) {
      if (which(entry) && this.options.forget(id)) this.#waiting.delete(id);
    }
  }

  /** Of the token whose connections have the most, the connection that has the most is ended, unless it asks itself. */
  #makeRoomFor(by: A): void {
    const tokens = new Map<string, number>();
    const announcers = new Map<A, number>();
    for (const { by: one } of this.#waiting.values()) {
      if (!one) continue;
      tokens.set(one.token, (tokens.get(one.token) ?? 0) + 1);
      announcers.set(one, (announcers.get(one) ?? 0) + 1);
    }
    const token = greatest(tokens);
    const greedy = greatest([...announcers].filter(([one]) => one.token === token));
    if (!greedy || greedy === by) return;
    greedy.end('too-many-documents');
    this.left(greedy);
    this.#forgetThose((entry) => entry.by === undefined);
  }
}

function greatest<T>(counts: Iterable<[T, number]>): T | undefined {
  return [...counts].reduce<[T, number] | undefined>(
    (most, each) => (most && most[1] >= each[1] ? most : each),
    undefined,
  )?.[0];
}
