import { DocumentError } from './errors.js';
import { canonicalJson, isJson, type Json } from './json.js';
import { mergeRules } from './merge/rules.js';
import { highestStamp, type Entry, type FieldMap } from './record.js';
import { productSchemas, type Schemas } from './migrations/schemas.js';
import { assertKey, fieldTable, ruleOf, type Kind } from './schemas/kinds.js';
import { isStamp, nextStamp, type Stamp } from './stamp.js';

/** Why something is written: the id of the Matrix event (or a name of our own), and its time if it has one. */
export interface Cause {
  id: string;
  /** `origin_server_ts`, milliseconds; without it the writer's clock counts. */
  ts?: number;
}

/** Fields to set on one record, held to the kind’s table at run time; null clears a field. */
export interface Write {
  kind: Kind;
  /** With its prefix, as in `matrix_user:@alice:example.org`. */
  key: string;
  fields: Readonly<Record<string, Json | undefined>>;
  /** The stamp of these fields, when the caller has made it: an actor's events come after all of that actor's events. */
  stamp?: Stamp;
}

/**
 * The record after a write, or undefined when the write changes nothing: its fields have these values already
 * (for a `choice` also from this cause), or another value stands by the field's rule. A new entry comes after
 * all that is seen at its key.
 *
 * @throws {DocumentError} `bad-key`, or `invalid-write` for a field or value that the tables do not allow.
 */
export function applyWrite(
  write: Write,
  current: FieldMap | undefined,
  cause: Cause,
  now: number,
  schemas: Pick<Schemas, 'fieldTable'> = productSchemas,
): FieldMap | undefined {
  const stamp = write.stamp ?? nextStamp(cause.ts ?? now, now, current && highestStamp(current));
  if (!isStamp(stamp)) throw new DocumentError('invalid-write', `${String(stamp)} is no stamp`);
  const rule = ruleOf(write.kind);
  const next = new Map<string, Entry>(current);
  let changed = false;
  for (const [field, value] of checkedFields(write, schemas)) {
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

function checkedFields(write: Write, schemas: Pick<Schemas, 'fieldTable'>): [string, Json][] {
  assertKey(write.kind, write.key);
  const given = Object.entries(write.fields);
  return given
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => {
      const table = schemas.fieldTable(write.kind, field) ?? fieldTable(write.kind, field);
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
