import { canonicalJson, isJson, type Json } from './json.js';
import { isStamp, type Stamp } from './stamp.js';
import type { CountMalformed } from './errors.js';

/** One field: its value, when it was set (hybrid logical clock), and the id of the Matrix event that caused it. */
export interface Entry {
  readonly value: Json;
  readonly stamp: Stamp;
  readonly cause: string;
}

/** A record as it is stored: field name to entry, unknown fields included. A Map, so that no name is special. */
export type FieldMap = ReadonlyMap<string, Entry>;

/** Longer text is malformed, characters. A record is a handful of short fields. */
const MAX_RECORD_LENGTH = 256 * 1024;
const MAX_CAUSE_LENGTH = 1024;

/** `{field: [value, stamp, cause]}` as canonical JSON: equal records are equal text on every replica. */
export function encodeRecord(record: FieldMap): string {
  const members = [...record]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, { value, stamp, cause }]) =>
        `${JSON.stringify(name)}:[${canonicalJson(value)},${stamp},${JSON.stringify(cause)}]`,
    );
  return `{${members.join(',')}}`;
}

/**
 * The record in `text`, which any peer may have written: what is no record gives undefined, what is no entry
 * is left out, both counted; never throws. Fields this version does not know are kept.
 */
export function decodeRecord(text: string, count: CountMalformed): FieldMap | undefined {
  if (text.length > MAX_RECORD_LENGTH) return reject('size', count);
  const parsed = parse(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return reject('json', count);
  const record = new Map<string, Entry>();
  for (const [name, tuple] of Object.entries(parsed)) {
    const entry = name === '__proto__' ? undefined : toEntry(tuple);
    if (entry === undefined) count('field');
    else record.set(name, entry);
  }
  return record;
}

function toEntry(tuple: unknown): Entry | undefined {
  if (!Array.isArray(tuple) || tuple.length !== 3) return undefined;
  const [value, stamp, cause] = tuple as [unknown, unknown, unknown];
  if (!isStamp(stamp) || typeof cause !== 'string' || cause.length > MAX_CAUSE_LENGTH || !isJson(value)) {
    return undefined;
  }
  return { value, stamp, cause };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // A peer's text that is no JSON is counted by the caller; anything else is ours and goes on up.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function reject(what: 'size' | 'json', count: CountMalformed): undefined {
  count(what);
  return undefined;
}

/** The highest stamp in the record; undefined when it has no field. */
export function highestStamp(record: FieldMap): Stamp | undefined {
  let highest: Stamp | undefined;
  for (const { stamp } of record.values()) {
    if (highest === undefined || stamp > highest) highest = stamp;
  }
  return highest;
}
