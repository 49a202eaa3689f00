const RAMP = { firstMs: 500, factor: 1.25, mostMs: 15_000 };

/** After so many edits an answer shows no more of its text until it is whole. */
export const MOST_EDITS = 100;

/**
 * Milliseconds between an answer's edit number `edits` (0: its placeholder) and the next: half a second, longer by a
 * quarter from edit to edit, up to 15 s; and so long that `streams` answers at once, over all replicas, stay under
 * `perSecond` edits together.
 */
export function pauseMs(edits: number, streams: number, perSecond: number): number {
  const ofOne = Math.min(RAMP.firstMs * RAMP.factor ** edits, RAMP.mostMs);
  return Math.max(ofOne, (streams * 1000) / perSecond);
}
