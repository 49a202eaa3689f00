import { keysOf, readRecord, type Document, type Touched } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { encodeRecord, type FieldMap } from '../../documents/record.js';
import { kindNames, tableOf } from '../../documents/schemas/kinds.js';

/** The records that stand otherwise in `after` than in `before`, those that went included: for listeners. */
export function differences(before: Document | undefined, after: Document, count: CountMalformed): Touched[] {
  const touched: Touched[] = [];
  for (const kind of kindNames.filter((one) => tableOf(one).document === 'actors')) {
    const text = (document: Document, key: string): string | undefined => {
      const record: FieldMap | undefined = readRecord(document, kind, key, count);
      return record && encodeRecord(record);
    };
    const keys = new Set(keysOf(after, kind, count));
    for (const key of before === undefined ? [] : keysOf(before, kind, count)) keys.add(key);
    for (const key of keys) {
      if (before === undefined || text(before, key) !== text(after, key)) touched.push({ kind, key });
    }
  }
  return touched;
}
