import * as A from '@automerge/automerge';
import { DocumentError, type CountMalformed } from './errors.js';
import { documentMaps, genesisBytes, SCHEMA } from './genesis.js';
import type { DocumentKind } from './ids.js';
import { joinAll } from './merge/join.js';
import { decodeRecord, encodeRecord, type FieldMap } from './record.js';
import { documentKey, recordAt, ruleOf, tableOf, type Kind } from './schemas/kinds.js';

/** An Automerge document of ours; what stands in it is hostile until looked at. */
export type Document = A.Doc<Record<string, unknown>>;

/**
 * The record at a key: all concurrent values joined, because after a merge Automerge shows only one of them.
 * Undefined when none is readable.
 */
export function readRecord(
  document: Document,
  kind: Kind,
  key: string,
  count: CountMalformed,
): FieldMap | undefined {
  const map = mapIn(document, tableOf(kind).map, count);
  if (map === undefined) return undefined;
  const docKey = documentKey(kind, key);
  // Own keys only: to a plain object every key of its prototype seems present.
  if (!Object.hasOwn(map, docKey)) return undefined;
  const conflicts = A.getConflicts(map, docKey);
  const values: unknown[] = conflicts === undefined ? [map[docKey]] : Object.values(conflicts);
  return joinAll(
    values.map((value) => decodeValue(value, count)).filter((record) => record !== undefined),
    ruleOf(kind),
  );
}

function decodeValue(value: unknown, count: CountMalformed): FieldMap | undefined {
  // `getConflicts` gives the values of immutable strings as plain ones.
  const text = A.isImmutableString(value) ? value.val : value;
  if (typeof text === 'string') return decodeRecord(text, count);
  count('value');
  return undefined;
}

/** Puts a record inside a change, over all concurrent values at its key: join them first. */
export function putRecord(draft: Record<string, unknown>, kind: Kind, key: string, record: FieldMap): void {
  const map = draft[tableOf(kind).map] as Record<string, unknown>;
  map[documentKey(kind, key)] = new A.ImmutableString(encodeRecord(record));
}

/** The keys of all records of a kind. */
export function keysOf(document: Document, kind: Kind, count: CountMalformed): string[] {
  const map = mapIn(document, tableOf(kind).map, count);
  if (map === undefined) return [];
  const { prefix } = tableOf(kind);
  return Object.keys(map)
    .filter((docKey) => docKey.startsWith(prefix))
    .map((docKey) => docKey.slice(prefix.length));
}

/** Throws unless this version may write the document: its schema is known and its maps are in place. */
export function assertWritable(document: Document, kind: Kind, name: string): void {
  const { schema } = document;
  if (typeof schema !== 'number' || schema > SCHEMA) {
    throw new DocumentError(
      'newer-schema',
      `document ${name} has schema ${String(schema)}, this version knows ${SCHEMA}: read-only; update this replica`,
    );
  }
  if (!isMap(document[tableOf(kind).map])) {
    throw new DocumentError('damaged', `document ${name} has lost its map ${tableOf(kind).map}`);
  }
}

/** True when this version may write the document. */
export function isKnownSchema(document: Document): boolean {
  const { schema } = document;
  return typeof schema === 'number' && schema <= SCHEMA;
}

/**
 * The records that changes touched, read from their operations. Automerge's patches do not say it: a third
 * concurrent value that does not win gives no patch at all, and yet changes what the join yields.
 */
export function touchedRecords(family: DocumentKind, changes: Iterable<Uint8Array>): Touched[] {
  const maps = mapIds(family);
  const touched = new Map<string, Touched>();
  for (const change of changes) {
    for (const op of A.decodeChange(change).ops as { obj: string; key?: string }[]) {
      const map = maps.get(op.obj);
      const at = map !== undefined && op.key !== undefined ? recordAt(map, op.key) : undefined;
      if (at !== undefined) touched.set(`${at.kind} ${at.key}`, at);
    }
  }
  return [...touched.values()];
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

function mapIn(document: Document, map: string, count: CountMalformed): Record<string, unknown> | undefined {
  const value = document[map];
  if (isMap(value)) return value;
  count('map');
  return undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !A.isImmutableString(value);
}
