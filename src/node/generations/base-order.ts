import { compareEntries } from '../../documents/merge/order.js';
import type { Entry } from '../../documents/record.js';

/**
 * Which of two bases of one actor counts: the higher one, 0 when they are the same base. By stamp and then by what they
 * say, because two shards may be cut apart at one stamp; not by the cause, which a copy has another of.
 */
export function compareBases(a: Entry, b: Entry): number {
  return compareEntries({ ...a, cause: '' }, { ...b, cause: '' });
}
