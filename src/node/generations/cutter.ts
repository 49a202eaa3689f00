import * as A from '@automerge/automerge';
import { ActorError } from '../../actors/errors.js';
import { keysOf, type Document } from '../../documents/document.js';
import { describeDocument } from '../../documents/ids.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import { schemaOf } from '../../documents/schema.js';
import type { Cause, Write } from '../../documents/write.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { inSlices } from '../../time/slices.js';
import type { NodeCounters } from '../counters.js';
import { cleanCopy, holdsForgotten } from '../erasure/clean-copy.js';
import type { ErasedPlaces } from '../erasure/erased-places.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import type { RelayWord } from '../relay-word.js';
import { cutId, cutKey, documentOf, type Cut, type CutContent } from './cut.js';
import { nextGeneration, type NextGeneration } from './next-generation.js';
import { documentAt } from './past.js';
import {
  DEFAULT_BYTES,
  DEFAULT_EVENTS,
  type ActorBases,
  type CutPorts,
  type GenerationOptions,
} from './ports.js';
import type { ShardGenerations } from './shard.js';
import type { StoredDocuments } from './stored-documents.js';

/** How long a relay may take to store both generations, milliseconds. */
const RELAY_MS = 30_000;

export interface CutterContext {
  documents: OpenDocuments;
  stored: StoredDocuments;
  options: Pick<GenerationOptions, 'events' | 'bytes'>;
  bases: ActorBases;
  word: Pick<RelayWord, 'acknowledged'>;
  /** This node is to have relays: nothing is cut that none of them has stored. */
  hasRelays: boolean;
  reachesRelay: () => boolean;
  counters: NodeCounters;
  clock: Clock;
  log: Log;
  replica: string;
  schemas: Schemas;
  /** What was forgotten is in no generation that begins now (docs/decisions/0017). */
  forgotten?: ErasedPlaces | undefined;
  /** Two foundings apart had different numbers of shards (docs/decisions/0009), as far as this document shows. */
  isMixed: (document: OpenDocument) => boolean;
  /** The cut that this document's name says is known by its record. */
  isRecorded: (index: number, id: string) => boolean;
  change: (writes: Write[], cause: Cause) => Promise<void>;
}

type Outcome = 'cut' | 'not stored by a relay' | 'another cut was first' | 'numbers of shards differ';

/**
 * Begins a generation (PROTOCOL A6). The record comes last: whatever ends the process before it leaves a document
 * that nobody looks for, and that the next start removes.
 */
export class Cutter {
  constructor(private readonly context: CutterContext) {}

  isDue(current: OpenDocument, cut: Cut | undefined): boolean {
    const { options, counters, documents, schemas, forgotten } = this.context;
    const document = current.handle.doc();
    // Who does not know what stands there cannot say what of it is to be kept.
    if ((schemaOf(document) ?? Infinity) > schemas.known) return false;
    if (keysOf(document, 'event', counters.countMalformed).length >= (options.events ?? DEFAULT_EVENTS))
      return true;
    if (forgotten !== undefined && holdsForgotten(document, forgotten, counters.countMalformed)) return true;
    const size = documents.saver.size(current.id);
    // What the next generation begins with stands in this one's first bytes already: to cut would free nothing.
    return size >= (options.bytes ?? DEFAULT_BYTES) && size >= 2 * firstSize(document, cut);
  }

  /** True when it was cut; false when that could not be, which is said and counted, and tried again when due. */
  async cut(shard: ShardGenerations, ports: CutPorts, signal: AbortSignal): Promise<boolean> {
    const { log, hasRelays, reachesRelay, counters } = this.context;
    const current = shard.current;
    if (current === undefined || shard.writable() !== undefined) return false;
    if (A.getMissingDeps(current.handle.doc(), []).length > 0) return false;
    if (hasRelays && !reachesRelay()) return false;
    const document = describeDocument(current.name);
    const from = this.context.clock.monotonic();
    try {
      const made = await this.#make(shard, current, ports, signal);
      if (made !== 'cut') {
        counters.generations.cutsNotMade += 1;
        log.warn({ document, reason: made }, 'a cut that was due was not made');
        return false;
      }
    } catch (error) {
      counters.generations.cutsNotMade += 1;
      // A machine that is not known here: whoever knows it cuts (PROTOCOL A4).
      if (!(error instanceof ActorError)) throw error;
      log.warn({ err: error, document }, 'a cut that was due was not made');
      return false;
    }
    counters.generations.cuts += 1;
    const ms = Math.round(this.context.clock.monotonic() - from);
    log.info({ document, ms }, 'a generation was cut');
    return true;
  }

  async #make(
    shard: ShardGenerations,
    current: OpenDocument,
    ports: CutPorts,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { documents, stored, clock, log, isMixed, forgotten, counters } = this.context;
    if (isMixed(current)) return 'numbers of shards differ';
    const heads = A.getHeads(current.handle.doc()).sort();
    // Of these heads: what comes while the disk is waited for is not in the base.
    const settled = shard.settledTo;
    log.debug({ document: describeDocument(current.name) }, 'cut: flush');
    await documents.saver.flush(current.id);
    const whole = documentAt(current.handle.doc(), heads);
    const past = cleanCopy(whole, forgotten, counters.countMalformed);
    let next: OpenDocument | undefined;
    let id = '';
    try {
      const at = Math.floor(clock.now());
      const { index } = shard;
      const generation = current.name.generation + 1;
      const bytes = await this.#bytes(past.document, { index, generation, at, settled });
      const content = { parent: shard.cut?.id ?? '', heads, bytesHash: A.decodeChange(bytes).hash };
      id = cutId(content);
      const name = documentOf(index, { generation, id });
      await stored.begin(documents.idOf(name));
      log.debug({ document: describeDocument(name) }, 'cut: begun');
      next = await documents.open(name, bytes);
      await documents.saver.flush(next.id);
      log.debug({ document: describeDocument(name) }, 'cut: next generation on disk');
      await ports.archive?.({ index, generation: generation - 1 }, past.document, signal);
      log.debug({ document: describeDocument(name) }, 'cut: archived');
      const made = await this.#record(shard, { current, next, content, at, settled, signal });
      if (made === 'cut') await stored.end(next.id);
      return made;
    } finally {
      past.free();
      // Another replica may have made the very same cut: then it is in use.
      if (next !== undefined) await this.#drop(next, () => this.context.isRecorded(shard.index, id));
    }
  }

  async #record(
    shard: ShardGenerations,
    made: {
      current: OpenDocument;
      next: OpenDocument;
      content: CutContent;
      at: number;
      settled: number;
      signal: AbortSignal;
    },
  ): Promise<Outcome> {
    const { word, hasRelays, change, replica, log, isMixed } = this.context;
    const { current, next, content, at, settled, signal } = made;
    if (hasRelays && !(await word.acknowledged(() => [current, next], { deadlineMs: RELAY_MS, signal }))) {
      return 'not stored by a relay';
    }
    log.debug({ document: describeDocument(next.name) }, 'cut: stored by a relay');
    if (shard.current !== current || shard.writable() !== undefined) return 'another cut was first';
    if (isMixed(current)) return 'numbers of shards differ';
    const { parent, heads, bytesHash } = content;
    const id = cutId(content);
    const key = cutKey(shard.index, next.name.generation, id);
    const fields = { parent, heads: [...heads], bytes_hash: bytesHash, at, settled_to: settled, replica };
    await change([{ kind: 'cut', key, fields }], { id: `cut:${id}`, ts: at });
    log.debug({ document: describeDocument(next.name) }, 'cut: recorded');
    await shard.evaluated();
    return 'cut';
  }

  #bytes(past: Document, inputs: NextGeneration): Promise<Uint8Array> {
    const { bases, counters, clock } = this.context;
    return inSlices(nextGeneration(past, inputs, bases, counters.countMalformed), clock);
  }

  async #drop(next: OpenDocument, isRecorded: () => boolean): Promise<void> {
    if (isRecorded()) return;
    await this.context.documents.close(next);
    // It may be recorded meanwhile, and is opened again then.
    if (!isRecorded()) await this.context.stored.remove(next.id);
  }
}

/** Bytes of the first change; 0 for the first generation, which begins with next to nothing. */
function firstSize(document: Document, cut: Cut | undefined): number {
  if (cut === undefined) return 0;
  return A.getBackend(document).getChangeByHash(cut.bytesHash)?.length ?? 0;
}
