import { type Homeserver, HomeserverError } from '../matrix/homeserver.js';
import { isTurnedDown } from '../matrix/refusal.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { DirectChats } from './addressing/direct-chats.js';
import type { JournalEntry } from './journal.js';

/** Whose invites are taken up; the others are declined. */
export type InvitesPolicy = 'allowed' | 'all' | 'none';

interface Invite {
  inviter: string;
  /** To a direct chat. */
  direct: boolean;
  /** Servers to join through, of a room that ours need not be in. */
  via?: readonly string[] | undefined;
}

interface Pending extends Invite {
  /** Monotonic ms: not looked at before. */
  due: number;
  failures: number;
  /** How often it was invited: what a server says of an earlier time is not about this one. */
  times: number;
  underWay: boolean;
}

/** A server that is down is asked again ever more rarely. */
const LONGEST_PAUSE_MS = 3_600_000;

/**
 * Rooms that the account is invited to and has neither joined nor declined. Both are idempotent, so any replica may do it:
 * rank r after r × patience, until /sync shows the room as joined or left (PROTOCOL P4, O3).
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
      direct: Pick<DirectChats, 'note' | 'ensure'>;
      accepts: (inviter: string) => boolean;
      mayBegin: () => boolean;
      /** How long this replica waits for others before it joins, ms. */
      delay: (room: string, inviter: string) => number;
      everyMs: number;
    },
  ) {
    this.stop = deps.clock.every(deps.everyMs, () => this.look());
  }

  note(room: string, invite: Invite): void {
    const { inviter, direct } = invite;
    if (direct && this.deps.accepts(inviter)) this.deps.direct.note(room, inviter);
    // Invited again: by whoever it is now, and at once, however long a server was not asked.
    const anew = { via: undefined, ...invite, due: this.deps.clock.monotonic(), failures: 0 };
    const known = this.pending.get(room);
    if (known === undefined) this.pending.set(room, { ...anew, times: 1, underWay: false });
    else Object.assign(known, anew, { times: known.times + 1 });
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
      const due = invite.due + this.deps.delay(room, invite.inviter);
      if (invite.underWay || due > this.deps.clock.monotonic()) continue;
      invite.underWay = true;
      void this.take(room, invite);
    }
  }

  close(): void {
    this.stop();
  }

  /** Never rejects: what fails is tried again at the next look, or given up when the homeserver refuses. */
  private async take(room: string, invite: Pending): Promise<void> {
    const { accepts, homeserver, journal, log } = this.deps;
    const accepted = accepts(invite.inviter);
    const { times } = invite;
    try {
      if (accepted) await this.join(room, invite);
      else await homeserver.leave(room);
      // Of a room that we were in already /sync says nothing more.
      if (invite.times === times) await this.giveUp(room, journal);
    } catch (error) {
      const isPast = invite.times !== times;
      const refused = isTurnedDown(error) && !isPast;
      if (!isPast) this.pause(invite);
      log.warn(
        { room, accepted, error: String(error), givenUp: refused },
        'an invite could not be dealt with',
      );
      if (refused) await this.giveUp(room, journal);
    } finally {
      invite.underWay = false;
    }
  }

  private pause(invite: Pending): void {
    invite.failures += 1;
    const ms = Math.min(this.deps.everyMs * 2 ** invite.failures, LONGEST_PAUSE_MS);
    invite.due = this.deps.clock.monotonic() + ms;
  }

  /** A direct chat is listed as one before we are in it: the first message there must find that so. */
  private async join(room: string, { direct, via }: Pending): Promise<void> {
    const { homeserver, log } = this.deps;
    if (direct) {
      try {
        await this.deps.direct.ensure();
      } catch (error) {
        // Also of an endpoint that this homeserver does not have: nobody is let wait in an invite for a list.
        if (!(error instanceof HomeserverError) || error.code !== 'refused' || error.detail.status === 401)
          throw error;
        log.warn({ room, error: String(error) }, 'the homeserver keeps no list of direct chats');
      }
    }
    await homeserver.join(room, via);
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
        'an invite that is over stays in the journal until the next append',
      );
    }
  }
}
