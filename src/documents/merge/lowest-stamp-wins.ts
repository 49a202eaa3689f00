import type { Entry } from '../record.js';
import { compareEntries } from './order.js';

/** What was written first wins (A2: of one event written twice, the lowest stamp counts). */
export function lowestStampWins(a: Entry, b: Entry): Entry {
  return compareEntries(a, b) <= 0 ? a : b;
}
