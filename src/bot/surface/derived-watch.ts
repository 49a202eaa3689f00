import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { isRefused } from '../../matrix/refusal.js';
import type { JournalEntry, JournalState } from '../journal.js';
import type { DerivedState } from './derived.js';

/** What else a sweep does must not wait for long. */
const MOST_AT_ONCE = 20;

/**
 * Chats whose derived state was seen behind their record. Each stands in the journal until it was written again, so
 * that a kill forgets none (PROTOCOL C3); rank r writes after r × patience, and reads first.
 */
export class DerivedWatch {
  /** Room to the monotonic ms since when. */
  private readonly noted = new Map<string, number>();

  constructor(
    private readonly deps: {
      derived: Pick<DerivedState, 'write'>;
      journal: { readonly state: JournalState; append(entries: JournalEntry[]): Promise<void> };
      clock: Clock;
      log: Log;
      /** How long this replica waits for others before it writes, ms. */
      delay: (room: string) => number;
    },
  ) {
    for (const room of deps.journal.state.derived) this.note(room);
  }

  note(room: string): void {
    if (!this.noted.has(room)) this.noted.set(room, this.deps.clock.monotonic());
  }

  /** A record changed, perhaps by a merge: a state event seen before may be behind it now. */
  async recordChanged(room: string): Promise<void> {
    if (this.noted.has(room)) return;
    this.note(room);
    await this.deps.journal.append([{ t: 'derived', room }]);
  }

  /** Writes what is due. A failure stays for the next sweep. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { clock, delay } = this.deps;
    for (const [room, since] of [...this.noted].slice(0, MOST_AT_ONCE)) {
      if (since + delay(room) > clock.monotonic()) continue;
      this.noted.delete(room);
      try {
        await this.write(room, signal);
      } catch (error) {
        this.deps.log.warn({ room, error: String(error) }, 'a chat’s name or place could not be written yet');
        this.note(room);
      }
    }
  }

  private async write(room: string, signal: AbortSignal): Promise<void> {
    const { derived, journal, log } = this.deps;
    try {
      await derived.write(room, signal);
    } catch (error) {
      if (!isRefused(error)) throw error;
      log.warn({ room, error: error.message }, 'a chat’s name or place is not ours to write any more');
    }
    // Noted again meanwhile: the entry stands for that.
    if (this.noted.has(room) || !journal.state.derived.has(room)) return;
    await journal.append([{ t: 'derived-written', room }]);
  }
}
