import type { Clock } from './clock.js';

/**
 * A clock whose callbacks end no process: what one throws goes to `failed`, which must not throw itself. For timers that
 * outlive whoever set them; what comes again by itself comes again.
 */
export function guardedClock(clock: Clock, failed: (error: unknown) => void): Clock {
  const guarded = (run: () => void) => (): void => {
    try {
      run();
    } catch (error) {
      failed(error);
    }
  };
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms, run) => clock.after(ms, guarded(run)),
    every: (ms, run) => clock.every(ms, guarded(run)),
  };
}
