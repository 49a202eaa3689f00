import { type PlatformClient, PlatformError } from '../../platform/client.js';
import type { Log } from '../../telemetry/log.js';
import { type Clock, sleep } from '../../time/clock.js';
import type { ActorReader } from '../actors/reader.js';
import type { WorkContext } from '../attendant.js';
import type { Source } from '../source.js';
import type { RunSoFar } from '../streamer.js';

const AGAIN_MS = { first: 200, most: 5000 };

/**
 * Calls the platform until it answers: an outage is waited out under the same key, so that the run in progress is
 * joined and no second one begins (PROTOCOL C2, P1).
 */
export async function throughOutages<T>(
  deps: { clock: Clock; log: Log; platform: PlatformClient },
  { signal, waits }: Pick<WorkContext, 'signal' | 'waits'>,
  call: () => Promise<T>,
): Promise<T> {
  let pause = AGAIN_MS.first;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isOutage(error)) throw error;
      deps.log.warn({ error: error.message, againInMs: pause }, 'the platform is out of reach');
      await waits(true);
      do {
        await sleep(deps.clock, pause, signal);
        pause = Math.min(pause * 2, AGAIN_MS.most);
      } while (!(await answers(deps.platform, signal)));
      await waits(false);
    }
  }
}

const isOutage = (error: unknown): error is PlatformError =>
  error instanceof PlatformError && error.code === 'unreachable';

/** Asked before a call is tried again, because a begun attempt costs a durable write. */
async function answers(platform: PlatformClient, signal: AbortSignal): Promise<boolean> {
  try {
    await platform.agents(signal);
    return true;
  } catch (error) {
    if (isOutage(error)) return false;
    throw error;
  }
}

/** The same, for who waits in the room: a placeholder tells of the outage. */
export function toldThroughOutages<T>(
  deps: Parameters<typeof throughOutages>[0] & { reader: ActorReader },
  source: Source,
  context: WorkContext,
  call: () => Promise<T>,
): Promise<T> {
  const told = (is: boolean) => {
    context.shows.outOfReach(is, runSoFar(deps.reader, source));
    return context.waits(is);
  };
  return throughOutages(deps, { signal: context.signal, waits: told }, call);
}

/** What the actors say of a run that was begun before, by whichever replica: a takeover goes on from there. */
export function runSoFar(reader: ActorReader, source: Source): RunSoFar {
  const standing = reader.run(source);
  return {
    ...(standing.since !== undefined && { since: standing.since }),
    ...(standing.asks && { text: '(waits for an approval)' }),
  };
}
