import type { Entry } from '../record.js';
import { higherStampWins } from './higher-stamp-wins.js';

/** A value once set is never cleared again (settled marks only grow); between two values, the higher stamp. */
export function neverCleared(a: Entry, b: Entry): Entry {
  if ((a.value === null) !== (b.value === null)) return a.value === null ? b : a;
  return higherStampWins(a, b);
}
