import type { Log } from '../telemetry/log.js';
import { type Clock, sleep } from '../time/clock.js';
import { HomeserverError } from './homeserver.js';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;

/** What passes by itself: nobody answers, or not now. */
export const isOutage = (error: HomeserverError): boolean =>
  error.code === 'unreachable' || error.code === 'rate-limited';

/**
 * Asks again until the homeserver answers, as it says or with pauses up to 5 s.
 *
 * @param passes what is waited for; anything else is thrown, and so is the signal's reason.
 */
export async function throughOutages<T>(
  ask: () => Promise<T>,
  {
    clock,
    log,
    signal,
    passes = isOutage,
  }: { clock: Clock; log: Log; signal: AbortSignal; passes?: (error: HomeserverError) => boolean },
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof HomeserverError) || !passes(error)) throw error;
      log.warn({ error: error.message, againInMs: pauseMs }, 'the start waits for the homeserver');
      await sleep(clock, error.detail.retryAfterMs ?? pauseMs, signal);
    }
  }
}
