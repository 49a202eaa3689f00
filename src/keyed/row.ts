import { canonicalJson, type Json } from '../documents/json.js';
import { highestStamp, type Entry, type FieldMap } from '../documents/record.js';
import { kinds } from '../documents/schemas/kinds.js';
import type { Stamp } from '../documents/stamp.js';
import { faultOfKey } from './bounds.js';

const { prefix, fields } = kinds.keyed;
const TAKEN = 'taken:';

/** Which record of a namespace's documents: one round of one key, in one window. */
export interface Place {
  readonly window: number;
  readonly round: number;
  readonly key: string;
}

/** An entry as it was registered. */
export interface Registration extends Place {
  /** Milliseconds. */
  readonly at: number;
  readonly stamp: Stamp;
  readonly cause: string;
}

/** What a record says, less the value. */
export interface Row extends Place {
  readonly registration: Registration | undefined;
  /** Entries of this round or a lower one are gone up to this time, milliseconds. */
  readonly gone: number | undefined;
  /** Replicas that consumed it. */
  readonly takers: readonly string[];
  readonly highest: Stamp | undefined;
}

export function recordKey(namespace: string, { round, key }: Place): string {
  return `${prefix}${namespace} ${round} ${key}`;
}

/** Undefined for what is no key of this namespace; any peer may have written it. */
export function placeOf(namespace: string, window: number, text: string): Place | undefined {
  const start = `${prefix}${namespace} `;
  if (!text.startsWith(start)) return undefined;
  const space = text.indexOf(' ', start.length);
  const digits = text.slice(start.length, space);
  const key = text.slice(space + 1);
  if (space < 0 || !/^[1-9]\d{0,14}$/.test(digits) || faultOfKey(key) !== undefined) return undefined;
  return { window, round: Number(digits), key };
}

/**
 * Reads a record. What is malformed in it counts as not there, and `bad` is told; `holds` says whether a time belongs
 * into the record's window.
 */
export function readRow(
  place: Place,
  record: FieldMap,
  holds: (at: number) => boolean,
  bad: () => void,
): Row {
  const takers: string[] = [];
  for (const [name, { value }] of record) {
    if (name.startsWith(TAKEN) && value !== null) takers.push(name.slice(TAKEN.length));
  }
  const gone = fields.gone.schema.safeParse(record.get('gone')?.value);
  if (!gone.success && record.get('gone') !== undefined) bad();
  return {
    ...place,
    registration: readRegistration(place, record.get('entry'), holds, bad),
    gone: gone.data,
    takers,
    highest: highestStamp(record),
  };
}

function readRegistration(
  place: Place,
  entry: Entry | undefined,
  holds: (at: number) => boolean,
  bad: () => void,
): Registration | undefined {
  if (entry === undefined || entry.value === null) return undefined;
  const parsed = fields.entry.schema.safeParse(entry.value);
  if (!parsed.success || !holds(parsed.data.at)) {
    bad();
    return undefined;
  }
  return { ...place, at: parsed.data.at, stamp: entry.stamp, cause: entry.cause };
}

/** What only later releases know of a record: it goes along when the entry goes on in another window. */
export function unknownIn(record: FieldMap): FieldMap {
  const isKnown = (name: string): boolean => Object.hasOwn(fields, name) || name.startsWith(TAKEN);
  return new Map([...record].filter(([name]) => !isKnown(name)));
}

/** The value in a record that {@link readRow} found a registration in. */
export function valueOf(record: FieldMap): Json | undefined {
  const entry = record.get('entry')?.value;
  return typeof entry === 'object' && entry !== null && 'value' in entry ? entry.value : undefined;
}

export function withEntry(
  record: FieldMap | undefined,
  { at, value, stamp, cause }: { at: number; value: Json; stamp: Stamp; cause: string },
): FieldMap {
  return new Map(record).set('entry', { value: { at, value }, stamp, cause });
}

/** The entry is taken away, and a mark is left; `taker` for who consumed it. */
export function withMark(
  record: FieldMap | undefined,
  {
    until,
    now,
    stamp,
    cause,
    taker,
  }: { until: number; now: number; stamp: Stamp; cause: string; taker?: string },
): FieldMap {
  const marked = new Map(record);
  marked.delete('entry');
  const before = marked.get('gone')?.value;
  const reach = typeof before === 'number' ? Math.max(before, until) : until;
  marked.set('gone', { value: reach, stamp, cause });
  if (taker !== undefined) marked.set(TAKEN + taker, { value: now, stamp, cause });
  return marked;
}

/** Without an entry that the record's own mark covers: a merge may have brought it back. */
export function withoutGone(record: FieldMap): FieldMap {
  const entry = fields.entry.schema.safeParse(record.get('entry')?.value);
  const gone = record.get('gone')?.value;
  if (!entry.success || typeof gone !== 'number' || entry.data.at > gone) return record;
  const left = new Map(record);
  left.delete('entry');
  return left;
}

/** Whether a registration says the same as another one would. */
export function saysTheSame(record: FieldMap | undefined, at: number, value: Json): boolean {
  const entry = record?.get('entry')?.value;
  return entry !== undefined && canonicalJson(entry) === canonicalJson({ at, value });
}
