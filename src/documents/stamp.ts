/**
 * A hybrid logical clock (Kulkarni et al. 2014), kept as one integer of milliseconds: the physical part is
 * Matrix's time, the logical part is the milliseconds added when the physical part is not ahead. One
 * safe integer compares by `<`, costs 13 bytes of JSON, and stays readable as a time; carrying the counter in
 * the low bits of the time itself is sound because only the order of stamps means anything.
 */
export type Stamp = number;

/** How far ahead of the writer's clock the time of a cause may count, milliseconds (DESIGN §3). */
export const MAX_AHEAD_MS = 5 * 60_000;

/** No stamp above this is accepted from a peer, so that `1 + highest` always stays exact. */
export const MAX_STAMP: Stamp = 2 ** 52;

export function isStamp(value: unknown): value is Stamp {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_STAMP;
}

/**
 * The stamp of a new write: after everything seen at its key, and otherwise when people did it.
 *
 * @param causeTs `origin_server_ts` of the cause, milliseconds, from a homeserver and so not trusted: what is no
 *   time counts as 0, what lies more than {@link MAX_AHEAD_MS} ahead of `now` counts as that.
 * @param now the writer's clock, milliseconds since the epoch.
 * @param highest the highest stamp that the writer has seen at that key, if any.
 */
export function nextStamp(causeTs: number, now: number, highest: Stamp | undefined): Stamp {
  const time = Number.isFinite(causeTs) && causeTs > 0 ? Math.floor(causeTs) : 0;
  const capped = Math.min(time, Math.floor(now) + MAX_AHEAD_MS);
  const after = highest === undefined ? 0 : highest + 1;
  return Math.min(Math.max(capped, after), MAX_STAMP);
}
