import { HomeserverError, type Homeserver } from '../matrix/homeserver.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { JournalEntry } from './journal.js';

interface Pending {
  inviter: string;
  seenAt: number;
  joining: boolean;
}

/**
 * Rooms that the account is invited to and has not joined. Joining is idempotent, so any replica may do it: rank r
 * after r × patience, until /sync shows the room as joined or left (PROTOCOL P4, O3).
 */
export class Invites {
  private readonly pending = new Map<string, Pending>();
  private readonly stop: () => void;

  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      clock: Clock;
      log: Log;
      journal: { append(entries: JournalEntry[]): Promise<void> };
      allowed: (mxid: string) => boolean;
      mayBegin: () => boolean;
      /** How long this replica waits for others before it joins, ms. */
      delay: (room: string, inviter: string) => number;
      everyMs: number;
    },
  ) {
    this.stop = deps.clock.every(deps.everyMs, () => this.look());
  }

  note(room: string, inviter: string): void {
    if (!this.deps.allowed(inviter) || this.pending.has(room)) return;
    this.pending.set(room, { inviter, seenAt: this.deps.clock.monotonic(), joining: false });
    this.look();
  }

  done(room: string): void {
    this.pending.delete(room);
  }

  get size(): number {
    return this.pending.size;
  }

  look(): void {
    if (!this.deps.mayBegin()) return;
    for (const [room, invite] of this.pending) {
      const due = invite.seenAt + this.deps.delay(room, invite.inviter);
      if (invite.joining || due > this.deps.clock.monotonic()) continue;
      invite.joining = true;
      void this.join(room, invite);
    }
  }

  close(): void {
    this.stop();
  }

  /** Never rejects: what fails is tried again at the next look, or given up when the homeserver refuses. */
  private async join(room: string, invite: Pending): Promise<void> {
    const { homeserver, journal, log } = this.deps;
    try {
      await homeserver.join(room);
    } catch (error) {
      const refused =
        error instanceof HomeserverError && error.code === 'refused' && error.detail.status !== 401;
      log.warn({ room, error: String(error), givenUp: refused }, 'an invite could not be taken up');
      if (refused) await this.giveUp(room, journal);
    } finally {
      invite.joining = false;
    }
  }

  private async giveUp(
    room: string,
    journal: { append(entries: JournalEntry[]): Promise<void> },
  ): Promise<void> {
    this.pending.delete(room);
    try {
      await journal.append([{ t: 'joined', room }]);
    } catch (error) {
      this.deps.log.warn(
        { room, error: String(error) },
        'a refused invite stays in the journal until the next append',
      );
    }
  }
}
