import { readArchiveMark } from '../../actors/archive.js';
import { isWhole } from '../../actors/cut.js';
import { keysOf, readRecord, type Document } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { foreignMembers, foreignRecords } from '../../documents/foreign.js';
import { genesisBytes, type CarriedRecord } from '../../documents/genesis.js';
import type { Json } from '../../documents/json.js';
import { splitActorKey } from '../../documents/actor-key.js';
import type { FieldMap } from '../../documents/record.js';
import { kindNames, kinds, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import { schemaOf } from '../../documents/schema.js';
import { isStamp } from '../../documents/stamp.js';
import type { ActorBases } from './ports.js';

/** A member away for longer is none any more (PROTOCOL, Words), milliseconds. */
export const RETIRED_AFTER_MS = 7 * 24 * 60 * 60_000;

export interface NextGeneration {
  index: number;
  /** Of the generation to begin. */
  generation: number;
  /** Time of the cut, milliseconds. */
  at: number;
  /** The last generation of the shard whose cut was settled when this one was made. */
  settled: number;
}

/**
 * The first bytes of the next generation (PROTOCOL A6): per actor its base and its latest state for readers, and all
 * else that still matters, all that this release does not know among it. Events are not carried: the bases count them. Pure: the same document, inputs and machines
 * give the same bytes on every replica. Pauses at each `yield`.
 *
 * @param document the generation before, exactly as it was at the heads of the cut.
 * @throws what `foldBases` throws.
 */
export function* nextGeneration(
  document: Document,
  { index, generation, at, settled }: NextGeneration,
  bases: Pick<ActorBases, 'foldBases'>,
  count: CountMalformed,
): Generator<void, Uint8Array> {
  const folding = bases.foldBases(document, at, { generation, settled });
  const folded: ReadonlyMap<string, Json> = isStepwise(folding) ? yield* folding : folding;
  const carried: CarriedRecord[] = [];
  for (const [actor, base] of folded) {
    // Null: it was over long ago, and nothing of it is left here.
    if (base === null) continue;
    const key = kinds.base.prefix + actor;
    const entry = { value: base, stamp: stampOf(base), cause: 'cut' };
    const before = readRecord(document, 'base', key, count) ?? [];
    carried.push({ map: kinds.base.map, key, record: new Map([...before, ['base', entry]]) });
  }
  const kept = new Keeping(document, at, folded, count, isWhole({ generation, settled }));
  for (const kind of kindNames) {
    if (tableOf(kind).document !== 'actors') continue;
    for (const key of keysOf(document, kind, count)) {
      yield;
      const record = readRecord(document, kind, key, count);
      if (record !== undefined && kept.keeps(kind, key, record))
        carried.push({ map: tableOf(kind).map, key, record });
    }
  }
  for (const record of foreignRecords(document, 'actors', count)) {
    yield;
    carried.push(record);
  }
  const schema = schemaOf(document);
  const members = foreignMembers(document, 'actors');
  return genesisBytes({ kind: 'actors', index, generation }, carried, {
    members,
    ...(schema !== undefined && { schema }),
  });
}

type Folding = ReturnType<ActorBases['foldBases']>;

function isStepwise(folding: Folding): folding is Generator<void, ReadonlyMap<string, Json>> {
  return 'next' in folding;
}

/** Which records still matter. What is in doubt is kept: to drop one too many would be felt, a kept one is not. */
class Keeping {
  constructor(
    private readonly document: Document,
    private readonly at: number,
    private readonly folded: ReadonlyMap<string, Json>,
    private readonly count: CountMalformed,
    private readonly isWhole: boolean,
  ) {}

  keeps(kind: Kind, key: string, record: FieldMap): boolean {
    const name = key.slice(tableOf(kind).prefix.length);
    switch (kind) {
      case 'mark':
        return !this.#isBelowFloor(name, record);
      case 'attempt':
        return readRecord(this.document, 'mark', kinds.mark.prefix + name, this.count) === undefined;
      case 'done':
        // What is not done of an actor's effects stands in its base; but the event of one that is may come late.
        return !this.isWhole || !this.folded.has(splitActorKey(name)?.actor ?? '');
      case 'actor':
        return !isArchived(this.folded.get(name));
      case 'event':
      case 'base':
        return false;
      default:
        return true;
    }
  }

  /**
   * Settled longer ago than any member may have been away, and before the room's floor: a key below the floor
   * counts as settled (PROTOCOL C4). The source is older than its settling, so this one time decides for both.
   */
  #isBelowFloor(name: string, mark: FieldMap): boolean {
    const settledAt = mark.get('settled_at')?.value;
    if (typeof settledAt !== 'number' || settledAt >= this.at - RETIRED_AFTER_MS) return false;
    const room = name.slice(0, Math.max(name.indexOf(' '), 0));
    const floor = readRecord(this.document, 'floor', kinds.floor.prefix + room, this.count);
    const floorTs = floor?.get('origin_server_ts')?.value;
    return typeof floorTs === 'number' && settledAt < floorTs;
  }
}

const isArchived = (base: Json | undefined): boolean => base === null || readArchiveMark(base) !== undefined;

function stampOf(base: Json): number {
  const stamp: unknown = (base as { stamp?: unknown } | null)?.stamp;
  return isStamp(stamp) ? stamp : 0;
}
