import { keysOf, readRecord, type Document } from '../document.js';
import type { CountMalformed } from '../errors.js';
import type { DocumentKind } from '../ids.js';
import type { Json } from '../json.js';
import { compareEntries } from '../merge/order.js';
import { encodeRecord, type Entry, type FieldMap } from '../record.js';
import { schemaOf } from '../schema.js';
import type { Kind } from '../schemas/kinds.js';
import { moved } from './lens.js';
import { inOrder, type MigratedRecord, type Migration } from './migration.js';
import type { Schemas } from './schemas.js';

/** A change made since the migration that the schema before cannot say. Its new form stays in the document. */
export interface Inexpressible {
  readonly kind: Kind;
  readonly key: string;
  readonly field: string;
  readonly cause: string;
  /** What readers of the schema before see instead: what the backup has, or nothing. */
  readonly instead: Json | undefined;
}

export interface Rollback {
  readonly migration: Migration;
  readonly inexpressible: readonly Inexpressible[];
  /** Fields that were changed since the migration and go along. */
  readonly kept: number;
}

/**
 * What brings a document back to the schema before. A merge takes nothing away, so this is a new fact on top: every
 * field that moved stands under its old name again. What was not changed since the migration is exactly what the backup
 * has; what was changed since goes through the inverse of its step. The new fields stay where they are, as fields that
 * the schema before does not know, so that a later migration finds them. Undefined for nothing to do. Pure.
 *
 * @param backup the document as it was before the migration; undefined for one that was not there.
 */
export function rollbackOf(
  document: Document,
  family: DocumentKind,
  { to, schemas, backup }: { to: number; schemas: Schemas; backup: Document | undefined },
  count: CountMalformed,
): Rollback | undefined {
  const from = schemaOf(document);
  if (from === undefined || from > schemas.known) return undefined;
  const records: MigratedRecord[] = [];
  const inexpressible: Inexpressible[] = [];
  let kept = 0;
  for (const kind of schemas.movedKinds(family)) {
    for (const key of keysOf(document, kind, count)) {
      const record = readRecord(document, kind, key, count);
      if (record === undefined) continue;
      const was = backup && readRecord(backup, kind, key, count);
      const back = backOf(kind, record, { to, schemas, was });
      kept += back.kept;
      inexpressible.push(...back.inexpressible.map((one) => ({ kind, key, ...one })));
      if (encodeRecord(back.record) !== encodeRecord(record))
        records.push({ kind, key, record: back.record });
    }
  }
  if (from <= to && records.length === 0) return undefined;
  return { migration: { from, to: Math.min(from, to), records: inOrder(records) }, inexpressible, kept };
}

function backOf(
  kind: Kind,
  record: FieldMap,
  { to, schemas, was }: { to: number; schemas: Schemas; was: FieldMap | undefined },
): { record: FieldMap; inexpressible: Omit<Inexpressible, 'kind' | 'key'>[]; kept: number } {
  const next = new Map(record);
  const inexpressible: Omit<Inexpressible, 'kind' | 'key'>[] = [];
  let kept = 0;
  for (const move of [...schemas.movesOf(kind)].reverse()) {
    const entry = next.get(move.field);
    if (move.to <= to || entry === undefined) continue;
    const standing = next.get(move.from);
    if (standing !== undefined && compareEntries(standing, entry) >= 0) continue;
    const old = was?.get(move.from);
    if (old !== undefined && isSame(old, entry)) {
      next.set(move.from, old);
      continue;
    }
    // The same moment under both names: the old one was made from the new one.
    if (standing !== undefined && isSame(standing, entry)) continue;
    const inverse = moved(move, entry, 'down');
    if (inverse !== undefined) {
      next.set(move.from, inverse);
      kept += 1;
      continue;
    }
    if (old !== undefined) next.set(move.from, old);
    inexpressible.push({ field: move.field, cause: entry.cause, instead: (old ?? standing)?.value });
  }
  return { record: next, inexpressible, kept };
}

const isSame = (a: Entry, b: Entry): boolean => a.stamp === b.stamp && a.cause === b.cause;
