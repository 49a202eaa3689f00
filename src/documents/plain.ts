import type { CountMalformed } from './errors.js';
import type { FieldMap } from './record.js';
import { fieldTable, type Kind, type RecordOf } from './schemas/kinds.js';

/**
 * A record as callers read it: field names to values, fields of later versions included. Cleared fields are
 * absent; a known field whose value has not its form (a broken or hostile peer's) is absent and counted.
 */
export function toPlain<K extends Kind>(kind: K, record: FieldMap, count: CountMalformed): RecordOf<K> {
  const plain: Record<string, unknown> = {};
  for (const [field, { value }] of record) {
    if (value === null) continue;
    const parsed = fieldTable(kind, field)?.schema.safeParse(value);
    if (parsed === undefined || parsed.success) plain[field] = parsed?.data ?? value;
    else count('field');
  }
  return plain as RecordOf<K>;
}
