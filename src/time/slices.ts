import type { Clock } from './clock.js';

/** How long work goes on before others get a turn, milliseconds. */
const SLICE_MS = 20;

/** Does work that pauses at each `yield`, all in one go. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/**
 * Does work that may pause at each `yield`, and lets the event loop go on about every {@link SLICE_MS}. What the work
 * reads must not change meanwhile.
 */
export async function inSlices<T>(work: Generator<void, T>, clock: Clock): Promise<T> {
  let from = clock.monotonic();
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (clock.monotonic() - from < SLICE_MS) continue;
    await new Promise<void>((resolve) => void clock.after(0, resolve));
    from = clock.monotonic();
  }
}
