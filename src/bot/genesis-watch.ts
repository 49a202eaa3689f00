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

  /** Called whenever it may have fallen. Never rejects: what cannot be read now is read at the next call. */
  async look(): Promise<void> {
    const { homeserver, inbox, records, log } = this.deps;
    const before = this.known;
    const now = records.genesis();
    this.known = now;
    const from = inbox().position();
    if (now === undefined || before === undefined || from === undefined) return;
    const fell = now < before;
    if (!fell && this.unread.size === 0) return;
    try {
      const rooms = await homeserver.joinedRooms();
      this.unread = new Set(rooms.filter((room) => fell || this.unread.has(room)));
    } catch (error) {
      this.known = before;
      log.warn({ error: String(error) }, 'rooms could not be read from the earlier genesis yet');
      return;
    }
    // One that cannot be read holds no other back.
    for (const room of this.unread) await this.read(room, now, from);
  }

  private async read(room: string, genesis: number, from: string): Promise<void> {
    const { inbox, receiver, log, self } = this.deps;
    try {
      const until = endOfReading(self, genesis);
      const read = await inbox().readBack(room, { from, until, limit: MOST_EVENTS });
      await receiver().takeEarlier(room, read.events);
      this.unread.delete(room);
    } catch (error) {
      log.warn({ room, error: String(error) }, 'a room could not be read from the earlier genesis yet');
    }
  }
}
