import { parseActorKey, splitActorKey } from '../../documents/actor-key.js';
import type { WrittenRecord } from '../../documents/document.js';
import type { Json } from '../../documents/json.js';
import { personIn } from '../../documents/placement.js';
import type { Entry, FieldMap } from '../../documents/record.js';
import { tableOf, type Kind } from '../../documents/schemas/kinds.js';
import type { Stamp } from '../../documents/stamp.js';
import type { ErasedPlaces } from './erased-places.js';

type Places = Pick<ErasedPlaces, 'of' | 'none'>;

/** What a source's id begins with that names a person: the first steps of someone's way in. */
const ONBOARDING = 'onboarding:';
/** Takes the place of a cause that names a person who was forgotten. */
const FORGOTTEN_CAUSE = 'forgotten';

/** The place that a key names, of kinds that hold something of a person; undefined for others. */
export function placeIn(kind: Kind, key: string): string | undefined {
  const name = key.slice(tableOf(kind).prefix.length);
  switch (kind) {
    case 'user':
    case 'chat':
      return personIn(name);
    case 'room':
      return name;
    case 'event':
    case 'done':
    case 'actor':
    case 'base': {
      const { actor } = splitActorKey(name) ?? { actor: name };
      return parseActorKey(actor)?.place;
    }
    case 'mark':
    case 'attempt':
      // What a source came to stays for ever; but the source of a greeting is the person.
      return personOfSource(name.slice(name.indexOf(' ') + 1));
    default:
      return undefined;
  }
}

/** The person that a source's id, or a cause, names. */
export function personOfSource(id: string): string | undefined {
  return id.startsWith(ONBOARDING) ? personIn(id.slice(ONBOARDING.length)) : undefined;
}

/**
 * What is left of a record: undefined when all of it is forgotten, the record itself when nothing is. A field stays
 * when it was set after the forgetting: by somebody who came back, or by a replica that had not heard of it yet. Pure,
 * and the same on every replica that knows of the same erasures.
 */
export function remains(
  kind: Kind,
  key: string,
  record: FieldMap | undefined,
  places: Places,
): FieldMap | undefined {
  if (record === undefined || places.none) return record;
  const to = forgottenTo(kind, key, record, places);
  if (kind === 'room' && isGone(record.get('matrix_user_id'), to)) return undefined;
  if (kind === 'base' && to !== undefined && !isMadeAfter(record.get('base')?.value, to)) return undefined;
  const left = new Map<string, Entry>();
  let isSame = true;
  for (const [field, entry] of record) {
    const kept = to !== undefined && entry.stamp <= to ? undefined : withoutName(entry, places);
    if (kept !== entry) isSame = false;
    if (kept !== undefined) left.set(field, kept);
  }
  if (isSame) return record;
  return left.size === 0 ? undefined : left;
}

/** Of records as changes wrote them, what is not forgotten: nothing of it comes late (PROTOCOL A6). */
export function* remaining(
  written: Iterable<WrittenRecord>,
  places: Places | undefined,
): Iterable<WrittenRecord> {
  for (const { kind, key, record } of written) {
    const left = places === undefined ? record : remains(kind, key, record, places);
    if (left !== undefined) yield { kind, key, record: left };
  }
}

/**
 * The stamp above which something new of a place is written, also where a clock is behind that of the replica that
 * was told to forget: or it would be gone at once.
 */
export function forgottenTo(
  kind: Kind,
  key: string,
  record: FieldMap | undefined,
  places: Places,
): Stamp | undefined {
  if (places.none) return undefined;
  const place = placeIn(kind, key);
  const own = place === undefined ? undefined : places.of(place)?.to;
  if (kind !== 'room') return own;
  // A room that the replica that forgot did not know of goes with its person.
  const person = record?.get('matrix_user_id')?.value;
  const owners = typeof person === 'string' ? places.of(person)?.to : undefined;
  return own === undefined || owners === undefined ? (own ?? owners) : Math.max(own, owners);
}

/** Whose room it is was said before: then nobody has made it anew, whatever was set in it since. */
const isGone = (owner: Entry | undefined, to: Stamp | undefined): boolean =>
  to !== undefined && owner !== undefined && owner.stamp <= to;

/** Member of a base: up to where its place was forgotten when it was folded. */
const FOLDED_WITHOUT = 'forgotten_to';

/** A base that was folded by somebody who did not know counts what is forgotten, whatever it counts beside. */
function isMadeAfter(base: Json | undefined, to: Stamp): boolean {
  if (typeof base !== 'object' || base === null || Array.isArray(base)) return false;
  const said = (base as { readonly [member: string]: Json })[FOLDED_WITHOUT];
  return typeof said === 'number' && said >= to;
}

/** A base that was folded without what is forgotten says so. */
export function foldedWithout(actor: string, base: Json, places: Places): Json {
  const to = places.none ? undefined : places.of(parseActorKey(actor)?.place ?? '')?.to;
  if (to === undefined || typeof base !== 'object' || base === null || Array.isArray(base)) return base;
  return { ...(base as { readonly [member: string]: Json }), [FOLDED_WITHOUT]: to };
}

function withoutName(entry: Entry, places: Places): Entry {
  const person = personOfSource(entry.cause);
  const to = person === undefined ? undefined : places.of(person)?.to;
  return to === undefined || entry.stamp > to ? entry : { ...entry, cause: FORGOTTEN_CAUSE };
}
