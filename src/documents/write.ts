import { DocumentError } from './errors.js';
import { canonicalJson, isJson, type Json } from './json.js';
import { mergeRules } from './merge/rules.js';
import { highestStamp, type Entry, type FieldMap } from './record.js';
import { fieldTable, kinds, ruleOf, type Kind, type RecordOf } from './schemas/kinds.js';
import { nextStamp } from './stamp.js';

/** Why something is written: the id of the Matrix event (or a name of our own), and its time if it has one. */
export interface Cause {
  id: string;
  /** `origin_server_ts`, milliseconds; without it the writer's clock counts. */
  ts?: number;
}

/** Fields to set on one record; null clears a field. */
export type Write = { [K in Kind]: { kind: K; key: string; fields: WriteFields<K> } }[Kind];
export type WriteFields<K extends Kind> = { [F in keyof RecordOf<K>]?: RecordOf<K>[F] | null };

/**
 * The record after a write, or undefined when the write changes nothing: its fields have these values already
 * (for a `choice` also from this cause), or another value stands by the field's rule. A new entry comes after
 * all that is seen at its key.
 *
 * @throws {DocumentError} `invalid-write` for a field or value that the tables do not allow.
 */
export function applyWrite(
  write: Write,
  current: FieldMap | undefined,
  cause: Cause,
  now: number,
): FieldMap | undefined {
  const stamp = nextStamp(cause.ts ?? now, now, current && highestStamp(current));
  const rule = ruleOf(write.kind);
  const next = new Map<string, Entry>(current);
  let changed = false;
  for (const [field, value] of checkedFields(write)) {
    const entry: Entry = { value, stamp, cause: cause.id };
    const standing = next.get(field);
    if (
      standing !== undefined &&
      (says(standing, entry, write.kind, field) || mergeRules[rule(field)](standing, entry) === standing)
    ) {
      continue;
    }
    next.set(field, entry);
    changed = true;
  }
  return changed ? next : undefined;
}

function says(standing: Entry, entry: Entry, kind: Kind, field: string): boolean {
  if (canonicalJson(standing.value) !== canonicalJson(entry.value)) return false;
  return fieldTable(kind, field)?.kind === 'choice' ? standing.cause === entry.cause : true;
}

function checkedFields(write: Write): [string, Json][] {
  if (!Object.hasOwn(kinds, write.kind)) throw new DocumentError('invalid-write', `no kind ${write.kind}`);
  if (write.kind === 'cluster' && write.key !== 'cluster') {
    throw new DocumentError('invalid-write', 'the one record of kind cluster has the key cluster');
  }
  const given = Object.entries(write.fields as Record<string, unknown>);
  return given
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => {
      const table = fieldTable(write.kind, field);
      if (table === undefined || field === '__proto__') {
        throw new DocumentError('invalid-write', `${write.kind} has no field ${field}`);
      }
      if (value === null) return [field, null];
      const parsed = table.schema.safeParse(value);
      if (!parsed.success || !isJson(parsed.data)) {
        throw new DocumentError('invalid-write', `${write.kind}.${field} does not take a value of that form`);
      }
      return [field, parsed.data];
    });
}
