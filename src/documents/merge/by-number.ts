import type { Entry } from '../record.js';
import { compareEntries } from './order.js';

/**
 * The lowest number wins, whatever the stamps (C5: genesis merges by minimum). Of equal numbers the first
 * written is kept; what is no number loses to any number.
 */
export function lowestNumberWins(a: Entry, b: Entry): Entry {
  const [left, right] = [numberOf(a, Infinity), numberOf(b, Infinity)];
  if (left !== right) return left < right ? a : b;
  return compareEntries(a, b) <= 0 ? a : b;
}

/** The highest number wins, whatever the stamps; of equal numbers the first written; no number loses to any. */
export function highestNumberWins(a: Entry, b: Entry): Entry {
  const [left, right] = [numberOf(a, -Infinity), numberOf(b, -Infinity)];
  if (left !== right) return left > right ? a : b;
  return compareEntries(a, b) <= 0 ? a : b;
}

function numberOf(entry: Entry, otherwise: number): number {
  return typeof entry.value === 'number' ? entry.value : otherwise;
}
