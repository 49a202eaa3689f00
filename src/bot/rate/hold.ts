/** No homeserver's word holds the account longer: after that it is asked again, which costs one request. */
export const LONGEST_HOLD_MS = 600_000;
const UNSAID_MS = 1000;
const LEAST = { firstMs: 100, mostMs: 5000 };

/**
 * How long a 429 holds the account's sends, milliseconds: as long as it asks (`retry_after_ms`, else `Retry-After`),
 * a second where it does not say. Whatever it asks, at most {@link LONGEST_HOLD_MS}, and at least a pause that doubles
 * with each refusal in a row, so that one that always says "at once" is not flooded.
 */
export function holdMs(askedMs: number | undefined, refusalsInARow: number): number {
  const least = Math.min(LEAST.firstMs * 2 ** Math.min(refusalsInARow - 1, 10), LEAST.mostMs);
  const asked = askedMs === undefined || Number.isNaN(askedMs) ? UNSAID_MS : askedMs;
  return Math.min(Math.max(asked, least), LONGEST_HOLD_MS);
}
