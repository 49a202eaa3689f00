import type { Clock } from '../time/clock.js';

/** True when `work` is done within `ms`, and rejects as it does; what becomes of it after that is not looked at. */
export async function doneWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  let cancel = () => {};
  const late = new Promise<false>((resolve) => {
    cancel = clock.after(ms, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    cancel();
  }
}
