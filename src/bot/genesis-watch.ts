import type { Homeserver } from '../matrix/homeserver.js';
import type { Inbox } from '../matrix/inbox.js';
import type { Log } from '../telemetry/log.js';
import { endOfReading } from './reading-back.js';
import type { Receiver } from './receiver.js';
import type { Records } from './records.js';

const MOST_EVENTS = 100_000;

/** Genesis merges by minimum; when it falls by a merge, rooms are read again from the new one (PROTOCOL C5). */
export class GenesisWatch {
  private known: number | undefined;
  /** Rooms that are still to be read from it. */
  private unread = new Set<string>();
  private looking = false;

  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      inbox: () => Inbox;
      receiver: () => Receiver;
      records: Records;
      log: Log;
      self: string;
    },
  ) {}

  /** Called at the start, when the rooms are about to be read from what stands now. */
  note(): void {
    this.known = this.deps.records.genesis();
  }

  /** Called whenever it may have fallen. Never rejects: what cannot be read now is read at a later call. */
  async look(): Promise<void> {
    // One at a time: a call meanwhile has nothing to tell that the next one does not see.
    if (this.looking) return;
    this.looking = true;
    try {
      await this.noteFall();
      // One that cannot be read holds no other back.
      for (const room of this.unread) if (!this.deps.inbox().owes(room)) await this.read(room);
    } catch (error) {
      this.deps.log.warn({ error: String(error) }, 'rooms could not be read from the earlier genesis yet');
    } finally {
      this.looking = false;
    }
  }

  private async noteFall(): Promise<void> {
    const { homeserver, records } = this.deps;
    const [before, now] = [this.known, records.genesis()];
    const fell = now !== undefined && before !== undefined && now < before;
    if (fell || this.unread.size > 0) {
      const rooms = await homeserver.joinedRooms();
      this.unread = new Set(rooms.filter((room) => fell || this.unread.has(room)));
    }
    this.known = now;
  }

  private async read(room: string): Promise<void> {
    const { inbox, receiver, log, self } = this.deps;
    const from = inbox().position();
    if (from === undefined) return;
    try {
      const until = endOfReading(self, this.known);
      const read = await inbox().readBack(room, { from, until, limit: MOST_EVENTS });
      await receiver().takeEarlier(room, read.events);
      this.unread.delete(room);
    } catch (error) {
      log.warn({ room, error: String(error) }, 'a room could not be read from the earlier genesis yet');
    }
  }
}
