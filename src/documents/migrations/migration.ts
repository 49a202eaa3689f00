import { keysOf, readRecord, type Document } from '../document.js';
import type { CountMalformed } from '../errors.js';
import type { DocumentKind } from '../ids.js';
import { encodeRecord, type FieldMap } from '../record.js';
import { schemaOf } from '../schema.js';
import { tableOf, type Kind } from '../schemas/kinds.js';
import { raised } from './lens.js';
import type { Schemas } from './schemas.js';

/** One record as it will stand. */
export interface MigratedRecord {
  readonly kind: Kind;
  readonly key: string;
  readonly record: FieldMap;
}

/** What brings one document to another version of the data format. */
export interface Migration {
  readonly from: number;
  readonly to: number;
  /** Those that stand otherwise afterwards, in the order of map and key. */
  readonly records: readonly MigratedRecord[];
}

/**
 * What is left to do for a document: its number, and records that still stand in the old form; also where the number
 * is there already, because a release before may have written while it was apart. Undefined for nothing, and for a
 * document that is newer than this software. Pure.
 *
 * @throws {MigrationError} `failed`.
 */
export function migrationOf(
  document: Document,
  family: DocumentKind,
  schemas: Schemas,
  count: CountMalformed,
): Migration | undefined {
  const from = schemaOf(document);
  const to = schemas.targetOf(family);
  if (from === undefined || from > schemas.known) return undefined;
  const records: MigratedRecord[] = [];
  for (const kind of schemas.movedKinds(family)) {
    for (const key of keysOf(document, kind, count)) {
      const before = readRecord(document, kind, key, count);
      const record = before && raised(kind, before, schemas);
      if (before === undefined || record === undefined) continue;
      if (encodeRecord(record) !== encodeRecord(before)) records.push({ kind, key, record });
    }
  }
  if (from >= to && records.length === 0) return undefined;
  return { from, to: Math.max(from, to), records: inOrder(records) };
}

/** The same order everywhere: Automerge's keys are sorted, tables are not. */
export function inOrder(records: readonly MigratedRecord[]): MigratedRecord[] {
  const nameOf = ({ kind, key }: MigratedRecord): string => `${tableOf(kind).map} ${key}`;
  return [...records].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}
