import * as A from '@automerge/automerge';
import { DocumentError, type CountMalformed } from './errors.js';
import { documentMaps, genesisBytes } from './genesis.js';
import type { DocumentKind } from './ids.js';
import { joinAll } from './merge/join.js';
import type { MergeRule } from './merge/rules.js';
import { decodeRecord, encodeRecord, type FieldMap } from './record.js';
import { FIRST_SCHEMA, schemaOf } from './schema.js';
import { isKeyOf, recordAt, ruleOf, tableOf, type Kind } from './schemas/kinds.js';

/** An Automerge document of ours; what stands in it is hostile until looked at. */
export type Document = A.Doc<Record<string, unknown>>;

type FullValueWithId = ReturnType<ReturnType<typeof A.getBackend>['getAll']>[number];

/**
 * The record at a key: all concurrent values joined, because after a merge Automerge shows only one of them.
 * Undefined when none is readable. Of the document as it is now, also when given a view of its past.
 */
export function readRecord(
  document: Document,
  kind: Kind,
  key: string,
  count: CountMalformed,
): FieldMap | undefined {
  return readJoined(document, { map: tableOf(kind).map, key }, ruleOf(kind), count);
}

/** {@link readRecord} of whatever stands at a key of a map. */
export function readJoined(
  document: Document,
  { map: name, key }: { map: string; key: string },
  rule: (field: string) => MergeRule,
  count: CountMalformed,
): FieldMap | undefined {
  const map = mapIn(document, name, count);
  if (map === undefined) return undefined;
  // Own keys only: to a plain object every key of its prototype seems present.
  if (!Object.hasOwn(map, key)) return undefined;
  const versions = valuesAt(document, map, key).map(([type, value]) => decodeValue(type, value, count));
  return joinAll(
    versions.filter((record) => record !== undefined),
    rule,
  );
}

/**
 * All concurrent values at a key. Asked of the document itself, not by `getConflicts` of its map: in a clone
 * that one answers for the original, and it throws on value types it does not know.
 */
function valuesAt(document: Document, map: object, key: string): FullValueWithId[] {
  const id = A.getObjectId(map);
  return id === null ? [] : A.getBackend(document).getAll(id, key);
}

function decodeValue(type: string, value: unknown, count: CountMalformed): FieldMap | undefined {
  if (type === 'str' && typeof value === 'string') return decodeRecord(value, count);
  count('value');
  return undefined;
}

/** Puts a record inside a change, over all concurrent values at its key: join them first. */
export function putRecord(draft: Record<string, unknown>, kind: Kind, key: string, record: FieldMap): void {
  putAt(draft, { map: tableOf(kind).map, key }, record);
}

/** {@link putRecord} at a key of any map. */
export function putAt(
  draft: Record<string, unknown>,
  { map, key }: { map: string; key: string },
  record: FieldMap,
): void {
  (draft[map] as Record<string, unknown>)[key] = new A.ImmutableString(encodeRecord(record));
}

/** The keys of all records of a kind. */
export function keysOf(document: Document, kind: Kind, count: CountMalformed): string[] {
  const map = mapIn(document, tableOf(kind).map, count);
  if (map === undefined) return [];
  return Object.keys(map).filter((key) => isKeyOf(kind, key));
}

/**
 * Throws unless this version may write the document: its schema is known and its maps are in place.
 *
 * @param known the highest schema that this software knows.
 */
export function assertWritable(document: Document, kind: Kind, name: string, known = FIRST_SCHEMA): void {
  const schema = schemaOf(document);
  if (schema === undefined || schema > known) {
    throw new DocumentError(
      'newer-schema',
      `document ${name} has schema ${String(schema)}, this version knows ${known}: read-only; update this replica`,
    );
  }
  if (!isMap(document[tableOf(kind).map])) {
    throw new DocumentError('damaged', `document ${name} has lost its map ${tableOf(kind).map}`);
  }
}

/**
 * The records that changes touched, read from their operations. Automerge's patches do not say it: a third
 * concurrent value that does not win gives no patch at all, and yet changes what the join yields.
 */
export function touchedRecords(family: DocumentKind, changes: Iterable<Uint8Array>): Touched[] {
  const maps = mapIds(family);
  const touched = new Map<string, Touched>();
  for (const change of changes) {
    for (const op of A.decodeChange(change).ops as DecodedOp[]) {
      const map = maps.get(op.obj);
      const at = map !== undefined && op.key !== undefined ? recordAt(map, op.key) : undefined;
      if (at !== undefined) touched.set(`${at.kind} ${at.key}`, at);
    }
  }
  return [...touched.values()];
}

/** A record as one change wrote it. */
export interface WrittenRecord extends Touched {
  record: FieldMap;
}

/**
 * The records that changes wrote, one for each time, in the order of the changes: also those that the document no
 * longer shows. What cannot be read is counted and left out.
 */
export function* writtenRecords(
  family: DocumentKind,
  changes: Iterable<Uint8Array>,
  count: CountMalformed,
): Iterable<WrittenRecord> {
  for (const change of changes) yield* recordsWrittenBy(family, A.decodeChange(change), count);
}

/** {@link writtenRecords} of one change that is decoded already. */
export function* recordsWrittenBy(
  family: DocumentKind,
  change: { ops: unknown[] },
  count: CountMalformed,
): Iterable<WrittenRecord> {
  for (const { map, key, value } of putsOf(family, change)) {
    const at = recordAt(map, key);
    const record = at && decodePut(value, count);
    if (at !== undefined && record !== undefined) yield { ...at, record };
  }
}

/** What one change put at keys of the document's maps, whatever it is. */
export function* putsOf(
  family: DocumentKind,
  change: { ops: unknown[] },
): Iterable<{ map: string; key: string; value: unknown }> {
  const maps = mapIds(family);
  for (const { obj, key, action, value } of change.ops as DecodedOp[]) {
    const map = maps.get(obj);
    if (map !== undefined && key !== undefined && action === 'set') yield { map, key, value };
  }
}

export function decodePut(value: unknown, count: CountMalformed): FieldMap | undefined {
  return decodeValue(typeof value === 'string' ? 'str' : 'other', value, count);
}

interface DecodedOp {
  action: string;
  obj: string;
  key?: string;
  value?: unknown;
}

/** Object id to map name; the same in every document of a family, because the first change makes all maps. */
function mapIds(family: DocumentKind): ReadonlyMap<string, string> {
  const known = mapIdsOf.get(family);
  if (known !== undefined) return known;
  const first = A.loadIncremental(
    A.init<Record<string, unknown>>(),
    genesisBytes({ kind: family, index: 0, generation: 0 }),
  );
  const ids = new Map(documentMaps[family].map((map) => [String(A.getObjectId(first, map)), map]));
  A.free(first);
  mapIdsOf.set(family, ids);
  return ids;
}

const mapIdsOf = new Map<DocumentKind, ReadonlyMap<string, string>>();

export interface Touched {
  kind: Kind;
  key: string;
}

export function mapIn(
  document: Document,
  map: string,
  count: CountMalformed,
): Record<string, unknown> | undefined {
  const value = document[map];
  if (isMap(value)) return value;
  count('map');
  return undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !A.isImmutableString(value);
}
