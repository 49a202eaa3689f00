/** Children at once: on two processors, one boots while another is looked at. */
const AT_ONCE = 3;

/** Does something for each of these, some at once. */
export async function forEachOf<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  const worker = async () => {
    for (const one of rest) await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const READS = new Set(['list', 'read', 'exists', 'facts']);

/**
 * The file calls that change something, by their number from 1: killed before one that reads, the disk is as before
 * the next of these.
 */
export const changing = (calls: readonly string[]): number[] =>
  calls.flatMap((name, index) => (READS.has(name) ? [] : [index + 1]));

/** Every call is killed, not some of them: then it can be said how often each outcome must have been seen. */
export const takesAll = process.env['UNDERSTUDY_SOAK'] === '1';

/** The first, the last, and one of each `so` many, others in each run; all of them under UNDERSTUDY_SOAK=1. */
export function oneOfEach(so: number, calls: readonly number[]): number[] {
  if (takesAll) return [...calls];
  const chosen = Math.floor(Math.random() * so);
  return calls.filter((_, index) => index % so === chosen || index === 0 || index === calls.length - 1);
}
