import type { Clock } from '../time/clock.js';
import type { Source } from './source.js';

const MOST_MS = 600_000;

/**
 * Our account or our way to the homeserver does not pass now, and another replica's may: the source is left alone until
 * all of them have had their turn, and longer each time, because each try is an attempt in the documents. Gives the ms.
 */
export function leaveToOthers(source: Source, clock: Pick<Clock, 'monotonic'>, turnsMs: number): number {
  const ms = Math.min(turnsMs * 2 ** source.waysTried, Math.max(turnsMs, MOST_MS));
  source.waysTried += 1;
  source.notBefore = clock.monotonic() + ms;
  return ms;
}
