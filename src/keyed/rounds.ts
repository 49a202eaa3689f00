import type { Registration, Row } from './row.js';

/**
 * The entry that stands at a key, out of all rows of that key in all open windows: not gone, not over, and of several
 * that of the highest round. Undefined when none does.
 */
export function standing(rows: readonly Row[], isLive: (at: number) => boolean): Registration | undefined {
  let found: Registration | undefined;
  for (const registration of here(rows, isLive)) {
    if (found === undefined || comesAfter(registration, found)) found = registration;
  }
  return found;
}

function* here(rows: readonly Row[], isLive: (at: number) => boolean): Iterable<Registration> {
  for (const { registration } of rows) {
    if (registration !== undefined && isLive(registration.at) && !isGone(registration, rows))
      yield registration;
  }
}

/** A mark covers its own round and those before it, up to its time. */
function isGone({ round, at }: Pick<Registration, 'round' | 'at'>, rows: readonly Row[]): boolean {
  return rows.some((row) => row.gone !== undefined && row.round >= round && at <= row.gone);
}

function comesAfter(a: Registration, b: Registration): boolean {
  if (a.round !== b.round) return a.round > b.round;
  if (a.stamp !== b.stamp) return a.stamp > b.stamp;
  if (a.cause !== b.cause) return a.cause > b.cause;
  return a.at > b.at;
}

/**
 * The round of a registration made now for a time: that of what stands, else one after all that was seen at the key,
 * so that no mark seen so far covers it.
 */
export function roundOfNext(rows: readonly Row[], at: number, isLive: (at: number) => boolean): number {
  const round = standing(rows, isLive)?.round;
  if (round !== undefined && !isGone({ round, at }, rows)) return round;
  return 1 + rows.reduce((highest, row) => Math.max(highest, row.round), 0);
}

/** The latest entry that ends when the one that stands is consumed: its mark must reach as far as any copy of these. */
export function latest(rows: readonly Row[], isLive: (at: number) => boolean): Registration | undefined {
  let found: Registration | undefined;
  for (const one of here(rows, isLive)) {
    if (found === undefined || one.at > found.at) found = one;
  }
  return found;
}

/** Rounds of a key that more than one replica has consumed. */
export function takenTwice(rows: readonly Row[]): number[] {
  const takers = new Map<number, Set<string>>();
  for (const row of rows) {
    if (row.takers.length === 0) continue;
    const known = takers.get(row.round) ?? new Set();
    for (const taker of row.takers) known.add(taker);
    takers.set(row.round, known);
  }
  return [...takers].filter(([, known]) => known.size > 1).map(([round]) => round);
}
