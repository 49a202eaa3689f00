import { type Answer, freeze } from '../delivery/answer.js';
import { isRefused } from '../matrix/refusal.js';
import type { Clock } from '../time/clock.js';
import { MOST_ATTEMPTS } from './attempts.js';
import type { Source } from './source.js';

/** The answer of a source that failed too often (PROTOCOL C2): short, with a reference that the log has too. */
export function gaveUp(source: Source): Answer {
  const reference = source.id.slice(1, 9);
  return freeze('m.notice', [
    `I could not answer this one: it failed ${MOST_ATTEMPTS} times (reference ${reference}).`,
  ]);
}

/** What the homeserver shows; undefined where it shows us no such thing. Any other failure rejects. */
export async function ifShown<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isRefused(error)) return undefined;
    throw error;
  }
}

/** Fires after `ms`. */
export function deadline(clock: Clock, ms: number): AbortSignal {
  const controller = new AbortController();
  clock.after(ms, () => controller.abort());
  return controller.signal;
}

/** The loop that waits looks at the signal itself; any other rejection goes on. */
export function ignoreAbort(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}

/** For the log, with the stack. */
export const describe = (error: unknown) =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
