import type { Before, Given } from '../matrix/batch.js';
import type { RoomEvent } from '../matrix/homeserver.js';
import type { Inbox } from '../matrix/inbox.js';
import type { Log } from '../telemetry/log.js';
import { goesOnFrom, inviteBefore, isNewTo } from './entrance.js';
import { eventsOf } from './intake.js';
import { endOfReading } from './reading-back.js';
import type { Records } from './records.js';
import { isCreate, predecessorIn } from './surface/tombstone.js';

/** A room read back to its floor; more than this in one room since then is not expected, and is said. */
const MOST_EVENTS_BACK = 100_000;
/** Between an invite and our join: more is not expected, and then the join counts. */
const MOST_EVENTS_SINCE_INVITE = 1000;

interface Deps {
  log: Log;
  /** Our own mxid. */
  self: string;
  records: Records;
  inbox: () => Pick<Inbox, 'readBack'>;
  /** The content of a room's create event; undefined where it is not shown. */
  createOf: (room: string, signal: AbortSignal) => Promise<unknown>;
}

/** Reads what must be known of a room from before the events that /sync gives of it. Rejects with `HomeserverError`. */
export class BeforeBatch {
  constructor(private readonly deps: Deps) {}

  async read(room: Given, signal: AbortSignal): Promise<Before> {
    const goesOn = await this.goesOn(room, signal);
    return { events: await this.missedBefore(room, goesOn, signal), goesOn };
  }

  /** It takes the place of a room of ours, by its create event, which may stand before all that /sync gives. */
  private async goesOn(room: Given, signal: AbortSignal): Promise<boolean> {
    const { self, records, createOf } = this.deps;
    const events = eventsOf(room);
    if (events.some(isCreate)) return goesOnFrom(events, records);
    if (room.filled && !isNewTo(events, self)) return false;
    const old = predecessorIn(await createOf(room.room, signal));
    return old !== undefined && records.room(old) !== undefined;
  }

  /** C4: a room that is new to us is read back to its floor, or to genesis, not to the end of the answer. */
  private async missedBefore(room: Given, goesOn: boolean, signal: AbortSignal): Promise<RoomEvent[]> {
    const { self, records, inbox } = this.deps;
    if (room.prevBatch === undefined) return [];
    // Of one that takes the place of ours all is said to us, also what was said before we came in (C5).
    const isWhole = room.filled && !(goesOn && isNewTo(room.events, self));
    if (isWhole) return this.sinceInvite(room, room.prevBatch, signal);
    const floor = records.floor(room.room);
    const reading = {
      from: room.prevBatch,
      until: endOfReading(self, records.genesis(), { floor, goesOn }),
      limit: MOST_EVENTS_BACK,
    };
    const read = await inbox().readBack(room.room, reading, signal);
    if (read.ended === 'limit') {
      this.deps.log.error(
        { room: room.room, limit: MOST_EVENTS_BACK },
        'a room was not read back to its floor',
      );
    }
    return read.events;
  }

  /** C5: what was said between the invite and our join is for us, and the answer to /sync may not reach back so far. */
  private async sinceInvite(room: Given, from: string, signal: AbortSignal): Promise<RoomEvent[]> {
    const invite = inviteBefore(room.events, this.deps.self);
    if (invite === undefined) return [];
    const until = ({ event_id }: RoomEvent) => event_id === invite;
    const reading = { from, until, limit: MOST_EVENTS_SINCE_INVITE };
    const read = await this.deps.inbox().readBack(room.room, reading, signal);
    return read.ended === 'found' ? read.events : [];
  }
}
