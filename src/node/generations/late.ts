import { readArchiveMark } from '../../actors/archive.js';
import { splitActorKey } from '../../documents/actor-key.js';
import { readRecord, type Document, type WrittenRecord } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import type { Json } from '../../documents/json.js';
import { joinRecords } from '../../documents/merge/join.js';
import { encodeRecord, type Entry, type FieldMap } from '../../documents/record.js';
import { kinds, ruleOf, type Kind } from '../../documents/schemas/kinds.js';
import type { ActorBases } from './ports.js';

/** A record as it is to stand. */
export interface LateRecord {
  kind: Kind;
  key: string;
  record: FieldMap;
}

/**
 * What an earlier or losing generation holds and the current one lacks, joined with what the current one has
 * (PROTOCOL A6): events by id, with their stamps and marked late, unless the base of their actor counts them; all
 * other facts as they are. Nothing where nothing is lacking, so that applying it again changes nothing.
 */
export function lateRecords(
  written: Iterable<WrittenRecord>,
  current: Document,
  bases: Pick<ActorBases, 'absorbedBy'>,
  count: CountMalformed,
): LateRecord[] {
  const lookup = new Current(current, bases, count);
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
  ) {}

  /** The record as it counts here, or undefined when it does not. */
  take(kind: Kind, key: string, record: FieldMap): FieldMap | undefined {
    switch (kind) {
      case 'base':
        // It stands in the first bytes of its generation; that of another branch says nothing here.
        return undefined;
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
    return new Map<string, Entry>([...record, ['event', markedLate(entry)]]);
  }

  #isAbsorbed(actor: string): ReturnType<ActorBases['absorbedBy']> {
    const known = this.#absorbed.get(actor);
    if (known !== undefined) return known;
    const absorbed = this.bases.absorbedBy(this.#base(actor));
    this.#absorbed.set(actor, absorbed);
    return absorbed;
  }

  #isArchived(actor: string): boolean {
    return readArchiveMark(this.#base(actor)) !== undefined;
  }

  #base(actor: string): Json | undefined {
    return readRecord(this.document, 'base', kinds.base.prefix + actor, this.count)?.get('base')?.value;
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
