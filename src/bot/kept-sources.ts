import type { Source } from './source.js';

/** A settled source stays in memory so long, so that a late edit is judged without reading the room again. */
const KEPT_MS = 120_000;
/** And no more of them than this, or the memory of a replica would grow with how busy its rooms are. */
export const MOST_KEPT = 200;

/** The instant, monotonic like `now`, before which a settled source must have been settled to be let go. */
export function keptSince(sources: ReadonlyMap<string, Source>, now: number): number {
  const longAgo = now - KEPT_MS;
  if (sources.size <= MOST_KEPT) return longAgo;
  const times: number[] = [];
  for (const { settled, settledAt = 0 } of sources.values()) if (settled !== undefined) times.push(settledAt);
  if (times.length <= MOST_KEPT) return longAgo;
  times.sort((a, b) => b - a);
  return Math.max(longAgo, times[MOST_KEPT - 1] ?? longAgo);
}
