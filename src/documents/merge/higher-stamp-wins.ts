import type { Entry } from '../record.js';
import { compareEntries } from './order.js';

/** What was caused later wins; of concurrent writes, the one whose cause people did later (DESIGN §3). */
export function higherStampWins(a: Entry, b: Entry): Entry {
  return compareEntries(a, b) >= 0 ? a : b;
}
