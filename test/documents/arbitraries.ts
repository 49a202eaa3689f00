import fc from 'fast-check';
import type { Entry, FieldMap } from '../../src/documents/record.js';

/** Few distinct stamps, causes and values, so that ties of every kind come up often. */
export const entry: fc.Arbitrary<Entry> = fc.record({
  value: fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom<Entry['value']>(null, 'a', 'b', true, { a: 1, b: [1] }, { b: [1], a: 1 }),
  ),
  stamp: fc.integer({ min: 0, max: 3 }),
  cause: fc.constantFrom('$1', '$2', ''),
});

export function recordOf(fields: readonly string[]): fc.Arbitrary<FieldMap> {
  return fc
    .dictionary(fc.constantFrom(...fields), entry)
    .map((fieldsOf) => new Map(Object.entries(fieldsOf)));
}
