import { canonicalJson } from '../json.js';
import type { Entry } from '../record.js';

/**
 * The total order of entries: by stamp, then cause, then the text of the value. Two entries compare equal only
 * when they are the same, so that "take the higher" is commutative, associative and idempotent. The value
 * takes part because a broken writer may give one cause two values: every replica must still pick the same.
 * Strings compare by UTF-16 code unit, never by locale.
 */
export function compareEntries(a: Entry, b: Entry): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? -1 : 1;
  if (a.cause !== b.cause) return a.cause < b.cause ? -1 : 1;
  const [left, right] = [canonicalJson(a.value), canonicalJson(b.value)];
  return left === right ? 0 : left < right ? -1 : 1;
}
