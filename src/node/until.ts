import { sleep, type Clock } from '../time/clock.js';

/**
 * Checks again and again until it is so: true; or until the deadline has passed: false. Rejects with the signal's
 * reason as soon as that is aborted, and with what the check throws.
 */
export async function until(
  check: () => boolean | Promise<boolean>,
  options: { clock: Clock; everyMs: number; deadlineMs?: number; signal?: AbortSignal | undefined },
): Promise<boolean> {
  const { clock, everyMs, deadlineMs = Infinity, signal } = options;
  const start = clock.monotonic();
  for (;;) {
    signal?.throwIfAborted();
    if (await check()) return true;
    const left = deadlineMs - (clock.monotonic() - start);
    if (left <= 0) return false;
    await sleep(clock, Math.min(everyMs, left), signal);
  }
}
