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
    const { homeserver, inbox, receiver, records, log, self } = this.deps;
    const before = this.known;
    const now = records.genesis();
    this.known = now;
    const from = inbox().position();
    if (now === undefined || before === undefined || now >= before || from === undefined) return;
    try {
      for (const room of await homeserver.joinedRooms()) {
        const until = endOfReading(self, now);
        const read = await inbox().readBack(room, { from, until, limit: MOST_EVENTS });
        await receiver().takeEarlier(room, read.events);
      }
    } catch (error) {
      this.known = before;
      log.warn({ error: String(error) }, 'rooms could not be read from the earlier genesis yet');
    }
  }
}
