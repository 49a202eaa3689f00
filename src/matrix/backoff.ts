import { HomeserverError } from './homeserver.js';

const firstMs = 100;
const longestMs = 5000;

/**
 * Milliseconds to wait before trying again after `failures` failures in a row (at least 1): doubling from 100 ms to
 * 5 s, half of it random, so that replicas that failed together do not come back together. A 429 is waited out
 * for as long as it asks, and a little longer.
 */
export function backoffMs(error: unknown, failures: number, random: () => number): number {
  const usual = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 10));
  const jittered = usual / 2 + (usual / 2) * random();
  if (!(error instanceof HomeserverError) || error.code !== 'rate-limited') return jittered;
  const { retryAfterMs } = error.detail;
  return retryAfterMs === undefined ? jittered : retryAfterMs + Math.min(jittered, 250);
}
