import type { Clock } from '../time/clock.js';
import { PlatformError, type PlatformClient } from './client.js';

/**
 * Whether the platform is in reach, by what the last call to it came to: nothing is asked for it. `not-asked`: none was
 * made; a number: milliseconds since the first of the calls that failed in a row.
 */
export type Reach = 'not-asked' | 'reached' | number;

/** A platform whose calls tell whether it is in reach. */
export class PlatformReach {
  private last: 'not-asked' | 'reached' | { since: number } = 'not-asked';

  constructor(private readonly clock: Clock) {}

  now(): Reach {
    return typeof this.last === 'string' ? this.last : this.clock.monotonic() - this.last.since;
  }

  watch(platform: PlatformClient): PlatformClient {
    const noted =
      <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
      async (...args: A): Promise<T> => {
        try {
          const result = await call(...args);
          this.last = 'reached';
          return result;
        } catch (error) {
          this.failed(error);
          throw error;
        }
      };
    const failed = (error: unknown) => this.failed(error);
    const reached = () => (this.last = 'reached');
    return {
      agents: noted((...args) => platform.agents(...args)),
      createChat: noted((...args) => platform.createChat(...args)),
      branchChat: noted((...args) => platform.branchChat(...args)),
      async *sendMessage(...args) {
        try {
          for await (const event of platform.sendMessage(...args)) {
            reached();
            yield event;
          }
        } catch (error) {
          failed(error);
          throw error;
        }
      },
      cancel: noted((...args) => platform.cancel(...args)),
      decide: noted((...args) => platform.decide(...args)),
      saveContext: noted((...args) => platform.saveContext(...args)),
      loadContext: noted((...args) => platform.loadContext(...args)),
      deleteChat: noted((...args) => platform.deleteChat(...args)),
      deleteContext: noted((...args) => platform.deleteContext(...args)),
      listContexts: noted((...args) => platform.listContexts(...args)),
    };
  }

  /** A refusal is an answer; our own end says nothing. */
  private failed(error: unknown): void {
    if (!(error instanceof PlatformError) || error.code === 'aborted') return;
    if (error.code === 'refused') this.last = 'reached';
    else if (typeof this.last === 'string') this.last = { since: this.clock.monotonic() };
  }
}
