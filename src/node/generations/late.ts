import { readArchiveMark } from '../../actors/archive.js';
import { splitActorKey } from '../../documents/actor-key.js';
import { readRecord, type Document, type WrittenRecord } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import type { Json } from '../../documents/json.js';
import { joinRecords } from '../../documents/merge/join.js';
import { encodeRecord, type Entry, type FieldMap } from '../../documents/record.js';
import { kinds, ruleOf, type Kind } from '../../documents/schemas/kinds.js';
import { compareBases } from './base-order.js';
import type { ActorBases } from './ports.js';

/** A record as it is to stand. */
export interface LateRecord {
  kind: Kind;
  key: string;
  record: FieldMap;
}

/** Cause of a base that was copied to where its actor is at home. */
export const COPIED = 'home';

/** What stands in all shards together, this one included. */
export interface Everywhere {
  joined(kind: Kind, key: string): FieldMap | undefined;
}

/**
 * What an earlier or losing generation holds and the current one lacks, joined with what the current one has
 * (PROTOCOL A6): events by id, with their stamps and marked late, unless the base of their actor counts them; all
 * other facts as they are. Nothing where nothing is lacking, so that applying it again changes nothing. Of an actor
 * with records in several shards the base counts that was folded last, and what another shard holds is not lacking.
 */
export function lateRecords(
  written: Iterable<WrittenRecord>,
  current: Document,
  bases: Pick<ActorBases, 'absorbedBy'>,
  count: CountMalformed,
  everywhere: Everywhere = { joined: (kind, key) => readRecord(current, kind, key, count) },
): LateRecord[] {
  const lookup = new Current(current, bases, count, everywhere);
  const late = new Map<string, LateRecord>();
  for (const { kind, key, record } of written) {
    const taken = lookup.take(kind, key, record);
    if (taken === undefined) continue;
    const standing = late.get(`${kind} ${key}`)?.record ?? readRecord(current, kind, key, count);
    const joined = standing === undefined ? taken : joinRecords(standing, taken, ruleOf(kind));
    if (standing !== undefined && encodeRecord(standing) === encodeRecord(joined)) continue;
    late.set(`${kind} ${key}`, { kind, key, record: joined });
  }
  return [...late.values()];
}

class Current {
  /** Reading a base costs some milliseconds, and an actor has many events. */
  readonly #absorbed = new Map<string, ReturnType<ActorBases['absorbedBy']>>();

  constructor(
    private readonly document: Document,
    private readonly bases: Pick<ActorBases, 'absorbedBy'>,
    private readonly count: CountMalformed,
    private readonly everywhere: Everywhere,
  ) {}

  /** The record as it counts here, or undefined when it does not. */
  take(kind: Kind, key: string, record: FieldMap): FieldMap | undefined {
    switch (kind) {
      case 'base':
        // One that a cut made stands in its first bytes; that of another branch says nothing here.
        return this.#copiedBase(key, record);
      case 'actor':
        // Says what other events came to; whoever writes the next one here writes it anew.
        return this.#has(kind, key) || this.#isArchived(key.slice(kinds.actor.prefix.length))
          ? undefined
          : record;
      case 'attempt':
        return this.#has('mark', kinds.mark.prefix + key.slice(kinds.attempt.prefix.length))
          ? undefined
          : record;
      case 'event':
        return this.#lateEvent(key, record);
      default:
        return record;
    }
  }

  #lateEvent(key: string, record: FieldMap): FieldMap | undefined {
    const split = splitActorKey(key.slice(kinds.event.prefix.length));
    const entry = record.get('event');
    if (split === undefined || entry === undefined || this.#isAbsorbed(split.actor)(split.id, entry.stamp)) {
      return undefined;
    }
    const elsewhere = this.everywhere.joined('event', key)?.get('event');
    if (elsewhere !== undefined && elsewhere.stamp <= entry.stamp && !this.#has('event', key))
      return undefined;
    return new Map<string, Entry>([...record, ['event', markedLate(entry)]]);
  }

  #isAbsorbed(actor: string): ReturnType<ActorBases['absorbedBy']> {
    const known = this.#absorbed.get(actor);
    if (known !== undefined) return known;
    const base = this.everywhere.joined('base', kinds.base.prefix + actor)?.get('base')?.value;
    const absorbed = this.bases.absorbedBy(base);
    this.#absorbed.set(actor, absorbed);
    return absorbed;
  }

  #isArchived(actor: string): boolean {
    const base = this.everywhere.joined('base', kinds.base.prefix + actor)?.get('base')?.value;
    return readArchiveMark(base) !== undefined;
  }

  #copiedBase(key: string, record: FieldMap): FieldMap | undefined {
    const entry = record.get('base');
    if (entry?.cause !== COPIED) return undefined;
    const counts = this.everywhere.joined('base', key)?.get('base');
    return counts === undefined || compareBases(counts, entry) < 0 ? record : undefined;
  }

  #has(kind: Kind, key: string): boolean {
    return readRecord(this.document, kind, key, this.count) !== undefined;
  }
}

function markedLate(entry: Entry): Entry {
  const { value } = entry;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return entry;
  return { ...entry, value: { ...(value as { readonly [key: string]: Json }), late: true } };
}
