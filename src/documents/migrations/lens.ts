import { isJson, type Json } from '../json.js';
import { compareEntries } from '../merge/order.js';
import type { Entry, FieldMap } from '../record.js';
import type { Kind } from '../schemas/kinds.js';
import { MigrationError } from './errors.js';
import type { Schemas } from './schemas.js';
import type { FieldMove } from './step.js';

/**
 * A record as this release reads it: what stands under an old name stands under the new one. Of both, the later one:
 * a release before may have written the old one since; at the same stamp the new one, which the old was made from.
 * Nothing is lost: what cannot be said in the new form stays under its old name. The same again changes nothing, and it does not matter whether records are joined first.
 *
 * @throws {MigrationError} `failed`.
 */
export function raised(kind: Kind, record: FieldMap, schemas: Schemas): FieldMap {
  let current = record;
  for (const move of schemas.movesOf(kind)) {
    const old = current.get(move.from);
    const entry = old && moved(move, old, 'up');
    if (entry === undefined) continue;
    const standing = current.get(move.field);
    const next = new Map(current);
    next.delete(move.from);
    next.set(move.field, isAsLate(standing, entry) ? standing : entry);
    current = next;
  }
  return current;
}

/**
 * The same for a document of an earlier schema, which releases before read and write as well: every field under both
 * names. `stored` is what stands there.
 *
 * @param schema of the document.
 */
export function lowered(
  kind: Kind,
  record: FieldMap,
  { schemas, schema, stored }: { schemas: Schemas; schema: number; stored: FieldMap | undefined },
): FieldMap {
  const next = new Map(record);
  for (const move of [...schemas.movesOf(kind)].reverse()) {
    if (move.to <= schema) continue;
    const entry = next.get(move.field);
    const standing = next.get(move.from) ?? stored?.get(move.from);
    const old = entry && moved(move, entry, 'down');
    const kept = old === undefined || isAsLate(standing, old) ? (standing ?? old) : old;
    if (kept !== undefined) next.set(move.from, kept);
  }
  return next;
}

/** It is later, or says the same of the same moment in words that were there before. */
const isAsLate = (standing: Entry | undefined, made: Entry): standing is Entry =>
  standing !== undefined &&
  (standing.stamp === made.stamp && standing.cause === made.cause
    ? true
    : compareEntries(standing, made) > 0);

/** An entry in its other form; undefined where that cannot be said. */
export function moved(move: FieldMove, entry: Entry, way: 'up' | 'down'): Entry | undefined {
  if (entry.value === null) return entry;
  const value = valueOf(move, entry.value, way);
  return value === undefined ? undefined : { ...entry, value };
}

function valueOf(move: FieldMove, value: Json, way: 'up' | 'down'): Json | undefined {
  const name = `${move.kind}.${way === 'up' ? move.from : move.field}`;
  let made: Json | undefined;
  try {
    made = move[way](value);
  } catch (error) {
    throw new MigrationError('failed', `${name} cannot be migrated: a step threw`, { cause: error });
  }
  if (made !== undefined && !isJson(made)) throw new MigrationError('failed', `${name} became no JSON`);
  // What the new form does not allow would be absent to every reader of it.
  return way === 'up' && made !== undefined && !move.schema.safeParse(made).success ? undefined : made;
}
