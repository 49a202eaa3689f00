import * as A from '@automerge/automerge';
import { keysOf, putRecord, readRecord, type Document } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import type { DocumentKind } from '../../documents/ids.js';
import type { FieldMap } from '../../documents/record.js';
import { kindNames, tableOf, type Kind } from '../../documents/schemas/kinds.js';
import type { PastDocument } from '../generations/past.js';
import type { ErasedPlaces } from './erased-places.js';
import { placeIn, remains } from './remains.js';

/** A record that is not to stand as it does. */
interface Forgettable {
  kind: Kind;
  key: string;
  /** What is left of it; undefined for nothing. */
  left: FieldMap | undefined;
}

/** What a document holds that is forgotten. */
export function* forgettable(
  document: Document,
  family: DocumentKind,
  places: ErasedPlaces,
  count: CountMalformed,
): Iterable<Forgettable> {
  if (places.none) return;
  for (const kind of kindNames) {
    if (tableOf(kind).document !== family) continue;
    for (const key of keysOf(document, kind, count)) {
      const record = readRecord(document, kind, key, count);
      const left = remains(kind, key, record, places);
      if (record !== undefined && left !== record) yield { kind, key, left };
    }
  }
}

/** Inside a change: takes the records away, or what of them is forgotten. */
export function forgetIn(draft: Record<string, unknown>, records: Iterable<Forgettable>): void {
  for (const { kind, key, left } of records) {
    if (left === undefined) delete (draft[tableOf(kind).map] as Record<string, unknown>)[key];
    else putRecord(draft, kind, key, left);
  }
}

/** It holds something of a place that was forgotten: a reason to cut it. */
export function holdsForgotten(document: Document, places: ErasedPlaces, count: CountMalformed): boolean {
  if (places.none) return false;
  for (const kind of kindNames) {
    if (tableOf(kind).document !== 'actors') continue;
    for (const key of keysOf(document, kind, count)) {
      const place = placeIn(kind, key);
      if (place === undefined || places.of(place) === undefined) continue;
      const record = readRecord(document, kind, key, count);
      if (remains(kind, key, record, places) !== record) return true;
    }
  }
  return false;
}

/**
 * A generation as a cut is to see it: without what is forgotten, so that neither the next generation nor its audit
 * carries that. The copy given is used up by it.
 */
export function cleanCopy(
  past: PastDocument,
  places: ErasedPlaces | undefined,
  count: CountMalformed,
): PastDocument {
  if (places === undefined || places.none) return past;
  const records = [...forgettable(past.document, 'actors', places, count)];
  if (records.length === 0) return past;
  const document = A.change(past.document, { time: 0, message: 'forgotten' }, (draft) =>
    forgetIn(draft, records),
  );
  return { document, free: () => A.free(document) };
}
