import * as A from '@automerge/automerge';
import { decodePut, mapIn, putsOf, readJoined, type Document } from './document.js';
import type { CountMalformed } from './errors.js';
import { documentMaps } from './genesis.js';
import type { DocumentKind } from './ids.js';
import { joinRecords } from './merge/join.js';
import type { MergeRule } from './merge/rules.js';
import { encodeRecord, type FieldMap } from './record.js';
import { recordAt } from './schemas/kinds.js';

/**
 * A record of a kind that only later releases know. This one reads nothing into it, and carries it along wherever it
 * makes a new document out of an old one: what it does not know must not be lost by it (docs/decisions/0015).
 */
export interface ForeignRecord {
  map: string;
  key: string;
  record: FieldMap;
}

/** What every release does with fields that it does not know; so whoever brings a kind begins it with this rule. */
export const foreignRule = (): MergeRule => 'higherStampWins';

export function* foreignRecords(
  document: Document,
  family: DocumentKind,
  count: CountMalformed,
): Iterable<ForeignRecord> {
  for (const map of documentMaps[family]) {
    for (const key of Object.keys(mapIn(document, map, count) ?? {})) {
      if (recordAt(map, key) !== undefined) continue;
      const record = readJoined(document, { map, key }, foreignRule, count);
      if (record !== undefined) yield { map, key, record };
    }
  }
}

/** Those that changes wrote and `current` lacks, joined with what it has; none where it lacks nothing. */
export function foreignLate(
  family: DocumentKind,
  changes: Iterable<Uint8Array>,
  current: Document,
  count: CountMalformed,
): ForeignRecord[] {
  const late = new Map<string, ForeignRecord>();
  for (const change of changes) {
    for (const { map, key, value } of putsOf(family, A.decodeChange(change))) {
      if (recordAt(map, key) !== undefined) continue;
      const record = decodePut(value, count);
      if (record === undefined) continue;
      const at = `${map} ${key}`;
      const standing = late.get(at)?.record ?? readJoined(current, { map, key }, foreignRule, count);
      const joined = standing === undefined ? record : joinRecords(standing, record, foreignRule);
      if (standing !== undefined && encodeRecord(standing) === encodeRecord(joined)) continue;
      late.set(at, { map, key, record: joined });
    }
  }
  return [...late.values()];
}

const OWN_MEMBERS = new Set(['schema', 'kind', 'index', 'generation']);

/** What a later release has set in the document beside its maps. */
export function foreignMembers(
  document: Document,
  family: DocumentKind,
): [string, string | number | boolean | null][] {
  const maps: readonly string[] = documentMaps[family];
  return Object.keys(document)
    .filter((key) => !OWN_MEMBERS.has(key) && !maps.includes(key))
    .flatMap((key): [string, string | number | boolean | null][] => {
      const value: unknown = document[key];
      if (value === null || typeof value === 'string' || typeof value === 'boolean') return [[key, value]];
      return typeof value === 'number' ? [[key, value]] : [];
    });
}
