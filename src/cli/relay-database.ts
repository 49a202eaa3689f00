import { Backoff } from '../sync/backoff.js';
import type { Log } from '../telemetry/log.js';
import { sleep, type Clock } from '../time/clock.js';
import { codeOf, messageOf } from './explain.js';

/** A database is looked for again after so long at most, milliseconds. */
const capMs = 5_000;

/** What becomes of a relay whose database is out of reach at its start. */
export interface Waiting {
  /** Aborted when the process was asked to end. */
  signal: AbortSignal;
  /** Is told why it waits, each time. */
  waits(reason: string): Promise<void>;
  clock: Clock;
}

/**
 * Opens what is in a database, and waits for as long as that is out of reach: it starts together with the relay more
 * often than not, and whoever would start the relay again could do no more. What a database itself refuses (a wrong
 * password, a name that it does not have) is a setting, and is thrown.
 */
export async function reached<T>(open: () => Promise<T>, log: Log, waiting: Waiting): Promise<T> {
  const { signal, clock } = waiting;
  const backoff = new Backoff(capMs);
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isOutOfReach(error)) throw error;
      const waitMs = Math.round(backoff.next());
      const setting = 'UNDERSTUDY_RELAY_DATABASE_URL';
      log.warn(
        { setting, waitMs, reason: messageOf(error) },
        'waiting for the database; nobody may connect until then',
      );
      await waiting.waits(messageOf(error));
      await sleep(clock, waitMs, signal);
    }
  }
}

/** Nobody answered, or somebody who is only starting, stopping, or full. */
function isOutOfReach(error: unknown): boolean {
  if (codeOf(error) !== 'storage-unreachable') return false;
  const { cause } = error as Error;
  const isAnswer = cause instanceof Error && 'severity' in cause;
  return !isAnswer || /^(57P|53)/.test(codeOf(cause) ?? '');
}
