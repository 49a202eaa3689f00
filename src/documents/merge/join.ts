import type { Entry, FieldMap } from '../record.js';
import { mergeRules, type MergeRule } from './rules.js';

/**
 * Joins two versions of a record field by field, each by its own rule. Commutative, associative, idempotent:
 * any order, grouping or repetition of the same versions gives the same record.
 */
export function joinRecords(a: FieldMap, b: FieldMap, ruleOf: (field: string) => MergeRule): FieldMap {
  const joined = new Map<string, Entry>(a);
  for (const [name, entry] of b) {
    const other = joined.get(name);
    joined.set(name, other === undefined ? entry : mergeRules[ruleOf(name)](other, entry));
  }
  return joined;
}

/** {@link joinRecords} over any number of versions; undefined when there is none. */
export function joinAll(
  versions: Iterable<FieldMap>,
  ruleOf: (field: string) => MergeRule,
): FieldMap | undefined {
  let joined: FieldMap | undefined;
  for (const version of versions) {
    joined = joined === undefined ? version : joinRecords(joined, version, ruleOf);
  }
  return joined;
}
