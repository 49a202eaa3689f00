import type { CutInputs } from '../../actors/cut.js';
import type { Document } from '../../documents/document.js';
import type { Json } from '../../documents/json.js';
import type { Stamp } from '../../documents/stamp.js';

/** What a generation change must know of actors; both pure, because every replica must come to the same. */
export interface ActorBases {
  /**
   * Where every actor of a shard stands, by actor key, from the document as it was at the heads of the cut. `at` is
   * the time of the cut, milliseconds. What it gives step by step pauses at each `yield`.
   *
   * @throws {ActorError} when a machine or a version of it is not known here: then others cut (PROTOCOL A4), and
   *   this replica takes the bytes from them.
   */
  foldBases(
    document: Document,
    at: number,
    inputs: CutInputs,
  ): ReadonlyMap<string, Json> | Generator<void, ReadonlyMap<string, Json>>;
  /** Reads a base: whether it counts an event already. Undefined for an actor that has none. */
  absorbedBy(base: Json | undefined): (eventId: string, stamp: Stamp) => boolean;
}

/** What decides whether this replica cuts, and what must be done before it does. */
export interface CutPorts {
  /** This replica owns the shard, holds it whole and knows all its machines (PROTOCOL O1, A4). */
  mayCut(shard: number): boolean;
  /**
   * Writes the history of a generation to the audit documents, before what it holds may be dropped. Gets the
   * document as it is at the heads of the cut, which is freed when this resolves.
   * Rejecting means no cut. The signal is aborted when the node closes.
   */
  archive?(
    shard: { index: number; generation: number },
    document: Document,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface GenerationOptions {
  /** Default: by the machines of the node's actors. */
  bases?: ActorBases;
  /** Events in a shard at which it is cut. Default 2000. */
  events?: number;
  /** Bytes of a shard on disk at which it is cut, if at least half of them can go. Default 256 KiB. */
  bytes?: number;
  /** How often the node looks for shards to cut, milliseconds on average; 0: only `cutIfDue` cuts. Default 60 s. */
  everyMs?: number;
}

export const DEFAULT_EVENTS = 2000;
export const DEFAULT_BYTES = 256 * 1024;
export const DEFAULT_EVERY_MS = 60_000;
