import * as A from '@automerge/automerge';
import { encodeChangeMessage } from '../../documents/change-message.js';
import {
  assertWritable,
  putAt,
  putRecord,
  writtenRecords,
  type WrittenRecord,
} from '../../documents/document.js';
import { foreignLate, type ForeignRecord } from '../../documents/foreign.js';
import { describeDocument } from '../../documents/ids.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import type { NodeCounters } from '../counters.js';
import type { ErasedPlaces } from '../erasure/erased-places.js';
import { remaining } from '../erasure/remains.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import { sameHeads } from '../saver.js';
import { lateRecords, type LateRecord } from './late.js';
import type { Line } from './line.js';
import type { ActorBases } from './ports.js';
import type { Generation, ShardDocuments } from './shard-documents.js';
import type { StoredDocuments } from './stored-documents.js';

export interface EarlierContext {
  documents: OpenDocuments;
  stored: StoredDocuments;
  bases: ActorBases;
  counters: NodeCounters;
  log: Log;
  replica: string;
  schemas: Schemas;
  forgotten?: ErasedPlaces | undefined;
  epoch: () => number;
  clock: Clock;
  /** Resolves when the cut records that are known here are on disk. */
  recorded: () => Promise<void>;
  /** Sends a change of ours to the other replicas. */
  sent: (document: OpenDocument, bytes: Uint8Array) => void;
}

/** Where the shard stands at the moment of asking: records may come while anything is waited for. */
export interface Standing {
  line: () => Line;
  current: () => Generation | undefined;
  /** The current generation is the one that the records name, and the node stays open. */
  isAtEnd: () => boolean;
}

/** A generation that is not the current one: what it holds and the current one lacks is taken over. */
interface Source extends Generation {
  /** What was taken over so far. */
  drained: A.Heads | undefined;
}

/**
 * The earlier and the losing generations of a shard (PROTOCOL A6): open while something may still come of them,
 * taken over into the current one as it comes, and taken from the disk once a settled cut has replaced them.
 */
export class EarlierGenerations {
  readonly #sources = new Map<string, Source>();
  /** Closed after everything in them was taken over into the current generation. */
  readonly #finished = new Set<string>();

  constructor(
    private readonly shard: ShardDocuments,
    private readonly standing: Standing,
    private readonly context: EarlierContext,
  ) {}

  /** Another generation is the current one: it lacks what the one before it had taken over. */
  moved(previous: Generation | undefined, next: Generation): void {
    if (previous !== undefined) this.#sources.set(previous.document.id, { ...previous, drained: undefined });
    this.#sources.delete(next.document.id);
    for (const source of this.#sources.values()) source.drained = undefined;
    this.#finished.clear();
  }

  /** Opens all that this disk holds of them, and what may still come of those that are not settled. */
  async open(): Promise<void> {
    for (const cut of this.standing.line().generations) {
      const id = this.shard.idOf(cut);
      const line = this.standing.line();
      if (id === this.standing.current()?.document.id || this.#sources.has(id)) continue;
      // The one that is approached becomes the current one as soon as its bytes are here.
      if (cut !== undefined && cut.id === line.end?.id) continue;
      if (!line.isAwaited(cut) && (!this.shard.isStored(cut) || this.#finished.has(id))) continue;
      const document = await this.shard.open(cut);
      this.#sources.set(id, { document, cut, drained: undefined });
    }
  }

  /** Takes over what they hold and the current generation lacks, in one change. */
  drain(): void {
    const current = this.standing.current()?.document;
    if (current === undefined) return;
    const { bases, counters, forgotten } = this.context;
    const written: WrittenRecord[] = [];
    const all: Uint8Array[] = [];
    const drained = new Map<Source, A.Heads>();
    for (const source of this.#sources.values()) {
      const document = source.document.handle.doc();
      const heads = A.getHeads(document);
      if (source.drained !== undefined && sameHeads(source.drained, heads)) continue;
      const since = source.drained ?? this.#countedHeads(source);
      const changes = since.length === 0 ? A.getAllChanges(document) : A.getChangesSince(document, since);
      written.push(...remaining(writtenRecords('actors', changes, counters.countMalformed), forgotten));
      all.push(...changes);
      drained.set(source, heads);
    }
    const late = lateRecords(written, current.handle.doc(), bases, counters.countMalformed);
    const foreign = foreignLate('actors', all, current.handle.doc(), counters.countMalformed);
    if (late.length + foreign.length > 0) this.#write(current, late, foreign, [...drained.keys()]);
    for (const [source, heads] of drained) source.drained = heads;
  }

  /** Closes what nothing is awaited of, and removes what was replaced. False when more came meanwhile. */
  async tidy(): Promise<boolean> {
    const { documents, stored, log, recorded } = this.context;
    for (const [id, source] of this.#sources) {
      const { document, cut } = source;
      const current = this.standing.current();
      if (current === undefined || !this.standing.isAtEnd() || this.standing.line().isAwaited(cut)) continue;
      await documents.saver.flush(current.document.id);
      await recorded();
      // Another line may count now: what was taken over into a generation that lost counts in its base alone.
      if (!this.standing.isAtEnd()) return false;
      if (!sameHeads(source.drained ?? [], A.getHeads(document.handle.doc()))) return false;
      const isSuperseded = this.standing.line().isSuperseded(cut);
      this.#sources.delete(id);
      this.#finished.add(id);
      await documents.close(document);
      if (!isSuperseded) continue;
      await stored.remove(id);
      log.info({ document: describeDocument(document.name) }, 'a generation that counts no more was removed');
    }
    return true;
  }

  /**
   * The heads of a generation on the line that the cut after it counts; none of one that lost, nor while some of
   * them are not here: then every change is looked at, and the bases say which events count already.
   */
  #countedHeads({ document, cut }: Source): A.Heads {
    const heads = [...(this.standing.line().after(cut)?.heads ?? [])];
    return A.hasHeads(document.handle.doc(), heads) ? heads : [];
  }

  #write(
    current: OpenDocument,
    late: readonly LateRecord[],
    foreign: readonly ForeignRecord[],
    sources: readonly Source[],
  ): void {
    const { documents, counters, replica, schemas, sent, epoch } = this.context;
    for (const { kind } of late) {
      assertWritable(current.handle.doc(), kind, describeDocument(current.name), schemas.known);
    }
    // What waits for a routing record to be on disk must not come there by this way before it (DESIGN §3).
    for (const { document } of sources) documents.saver.holdAs(current.id, document.id);
    const message = encodeChangeMessage({ cause: 'late', replica, epoch: epoch() });
    const bytes = documents.change(current, message, [...late], (draft) => {
      for (const { kind, key, record } of late) putRecord(draft, kind, key, record);
      for (const { map, key, record } of foreign) putAt(draft, { map, key }, record);
    });
    sent(current, bytes);
    counters.generations.late += late.length + foreign.length;
  }
}
