import * as A from '@automerge/automerge';
import { ActorError } from '../../actors/errors.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import { schemaOf } from '../../documents/schema.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { inSlices } from '../../time/slices.js';
import type { NodeCounters } from '../counters.js';
import { cleanCopy } from '../erasure/clean-copy.js';
import type { ErasedPlaces } from '../erasure/erased-places.js';
import type { Cut } from './cut.js';
import { nextGeneration } from './next-generation.js';
import { documentAt } from './past.js';
import type { ActorBases } from './ports.js';
import type { ShardDocuments } from './shard-documents.js';

/** Makes the first bytes of a generation that another replica began, where everything they need is here. */
export class FirstBytes {
  /** Cuts whose bytes cannot be made here for now. */
  readonly #failed = new Set<string>();

  constructor(
    private readonly documents: ShardDocuments,
    private readonly context: {
      bases: ActorBases;
      schemas: Schemas;
      forgotten?: ErasedPlaces | undefined;
      counters: NodeCounters;
      log: Log;
      clock: Clock;
    },
  ) {}

  /** What could not be made is tried anew: a machine may be known by now. */
  tryAgain(): void {
    this.#failed.clear();
  }

  /** The bytes of a cut, from the generation before it; undefined when they must come from others. */
  async make(cut: Cut, before: Cut | undefined): Promise<Uint8Array | undefined> {
    if (this.#failed.has(cut.id)) return undefined;
    const { bases, schemas, counters, log, clock, forgotten } = this.context;
    const { index } = this.documents;
    const parent = await this.documents.held(before);
    if (parent === undefined || !A.hasHeads(parent.handle.doc(), [...cut.heads])) return undefined;
    // The bytes of a newer release come from those who know it.
    if ((schemaOf(parent.handle.doc()) ?? Infinity) > schemas.known) return undefined;
    const whole = documentAt(parent.handle.doc(), cut.heads);
    const past = cleanCopy(whole, forgotten, counters.countMalformed);
    try {
      const { generation, at, settledTo: settled } = cut;
      const inputs = { index, generation, at, settled };
      const steps = nextGeneration(past.document, inputs, bases, counters.countMalformed);
      const bytes = await inSlices(steps, clock);
      if (A.decodeChange(bytes).hash === cut.bytesHash) return bytes;
      log.warn({ cut: cut.id, shard: index }, 'the cut gives other bytes here: taken from a peer');
    } catch (error) {
      if (!(error instanceof ActorError)) throw error;
      log.warn({ err: error, cut: cut.id, shard: index }, 'the cut cannot be made here: taken from a peer');
    } finally {
      past.free();
    }
    counters.generations.notComputed += 1;
    this.#failed.add(cut.id);
    return undefined;
  }
}
