import type { Cancel, Clock } from '../time/clock.js';

/** True when the work is done within `ms`; it is not broken off, and its error is thrown if it comes in time. */
export async function isDoneWithin(work: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  let cancel: Cancel = () => {};
  const late = new Promise<false>((resolve) => {
    cancel = clock.after(ms, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    cancel();
  }
}
