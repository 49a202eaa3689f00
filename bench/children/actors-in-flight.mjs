import { sharedNow } from './serve.mjs';

const MB = 1024 * 1024;

/**
 * Keeps events under way, each at another actor, until as many as asked are done or the time is up.
 *
 * @param turns events that each actor has taken; counted on.
 */
export async function moving({ actors, inFlight, count = Infinity, forMs = Infinity, turns, send }) {
  const start = sharedNow();
  const cpu = process.cpuUsage();
  let begun = 0;
  const work = async () => {
    while (begun < count && sharedNow() - start < forMs) {
      // A step without a common divisor: neighbours in time are not neighbours in the data.
      const index = (begun * 7919) % actors;
      begun += 1;
      const before = turns[index];
      turns[index] += 1;
      await send(index, before);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return { count: begun, ms: sharedNow() - start, cpuMs: cpuMsSince(cpu) };
}

/** Processor time of all threads: what a busy machine makes less wrong than the clock. */
export function cpuMsSince(before) {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Of this process, garbage collected first (it is started with --expose-gc). */
export function memoryMb() {
  globalThis.gc();
  const { rss, heapUsed } = process.memoryUsage();
  return { rssMb: rss / MB, heapMb: heapUsed / MB };
}
