import type { Entry } from '../record.js';
import { higherStampWins } from './higher-stamp-wins.js';

/**
 * Of two registrations of one key of a keyed store, that of the higher round: whoever made it had seen the other
 * one's end. Of one round, the higher stamp.
 */
export function highestRoundWins(a: Entry, b: Entry): Entry {
  const [left, right] = [roundOf(a), roundOf(b)];
  if (left !== right) return left > right ? a : b;
  return higherStampWins(a, b);
}

/** What is no registration is of round 0. */
function roundOf({ value }: Entry): number {
  const round: unknown = typeof value === 'object' && value !== null && 'round' in value ? value.round : 0;
  return typeof round === 'number' ? round : 0;
}
