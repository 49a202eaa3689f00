import { type Homeserver, HomeserverError, type RoomEvent } from '../../matrix/homeserver.js';
import { isTurnedDown } from '../../matrix/refusal.js';
import type { Log } from '../../telemetry/log.js';
import { MADE_FOR_KEY } from '../intake.js';
import type { Outbox } from '../outbox.js';
import type { Records } from '../records.js';
import { isArchived } from './derived.js';
import { plainRoom } from './plain-room.js';
import { type Ledger, LEDGER_TYPE, readLedger, spaceSource } from './ledger.js';

export interface RoomsDeps {
  homeserver: Homeserver;
  outbox: Outbox;
  records: Pick<Records, 'chatOf' | 'highestNumber'>;
  log: Log;
  self: string;
  /** The source was redacted. */
  isDropped: (source: string) => boolean;
}

/** The ledger says that nothing is made for the source; thrown where a room was to be. */
export class Dropped extends Error {}

/** A room that stands in the account because some source made it. */
export interface MadeRoom {
  source: string;
  person: string;
  room: string;
  /** The name that was asked for, so that whoever finishes the room gives it that name. */
  name?: string;
  /** The room whose context the room's own goes on from, so that whoever finishes it branches the same. */
  from?: string;
  /** The thread of that room whose context it is, where it has one of its own. */
  thread?: string;
}

/** What was asked for of a room that is to be made. */
export type Wanted = Pick<MadeRoom, 'name' | 'from' | 'thread'>;

/**
 * Rooms made for a source: make, then decide (PROTOCOL P3). `createRoom` is not idempotent, so it runs first; a
 * write-once ledger event in the person's space then says which room it is, and whoever made another leaves it.
 */
export class Rooms {
  private readonly made = new Map<string, MadeRoom>();

  constructor(private readonly deps: RoomsDeps) {}

  /** A room of the account whose create event is ours and names a source. */
  noteMade(made: MadeRoom): void {
    this.made.set(made.room, made);
  }

  madeFor(room: string): MadeRoom | undefined {
    return this.made.get(room);
  }

  allMade(): MadeRoom[] {
    return [...this.made.values()];
  }

  async ledger(space: string): Promise<Ledger> {
    const timeline: RoomEvent[] = [];
    let from: string | undefined;
    do {
      const page = await this.deps.homeserver.messages(space, {
        dir: 'f',
        limit: 100,
        ...(from !== undefined && { from }),
      });
      timeline.push(...page.chunk);
      from = page.end === from ? undefined : page.end;
    } while (from !== undefined);
    return readLedger(timeline, this.deps.self);
  }

  /** The room of a source, made if there is none, and its number. */
  async decide(
    source: string,
    person: string,
    space: string,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<{ room: string; number: number }> {
    let ledger = await this.ledger(space);
    if (!ledger.entries.has(source) && this.deps.isDropped(source)) {
      await this.drop(source, space, signal);
      ledger = await this.ledger(space);
    }
    if (!ledger.entries.has(source)) {
      // Entered in an earlier space, whose ledger whoever made this one did not know whole.
      const recorded = this.deps.records.chatOf(person, source);
      const room =
        recorded?.room ??
        this.allMade().find((made) => made.source === source)?.room ??
        (await this.create(source, person, wantedOf(wanted)));
      signal.throwIfAborted();
      await this.raise(person, space, ledger, this.deps.records.highestNumber(person), signal);
      const entry = { source, room, ...(recorded !== undefined && { number: recorded.number }) };
      await this.deps.outbox.event(space, source, 'ledger', LEDGER_TYPE, entry, signal);
      ledger = await this.ledger(space);
    }
    const entry = ledger.entries.get(source);
    const number = ledger.number(source);
    if (entry !== undefined && 'dropped' in entry) {
      await this.leaveLosers(source, undefined);
      throw new Dropped(`${source} was redacted before a room was made for it`);
    }
    if (entry === undefined || number === undefined) {
      throw new HomeserverError('unreachable', `the ledger entry of ${source} is not in the space yet`);
    }
    await this.leaveLosers(source, entry.room);
    return { room: entry.room, number };
  }

  /** Says in the ledger that numbers up to `highest` were given, where it does not know; what is said twice is one. */
  async raise(
    person: string,
    space: string,
    ledger: Ledger,
    highest: number,
    signal?: AbortSignal,
  ): Promise<void> {
    if (ledger.highest >= highest) return;
    const entry = { source: spaceSource(person), after: highest };
    await this.deps.outbox.event(space, entry.source, `after/${highest}`, LEDGER_TYPE, entry, signal);
  }

  /** No room is made for a source that was redacted, unless the ledger names one already (PROTOCOL P3). */
  async drop(source: string, space: string, signal: AbortSignal): Promise<void> {
    if (!(await this.ledger(space)).entries.has(source)) {
      await this.deps.outbox.event(space, source, 'ledger', LEDGER_TYPE, { source, dropped: true }, signal);
    }
    const entry = (await this.ledger(space)).entries.get(source);
    if (entry !== undefined && 'dropped' in entry) await this.leaveLosers(source, undefined);
  }

  /** A room made for a source that another room won, or none, is left and forgotten. */
  async leaveLosers(source: string, winner: string | undefined): Promise<void> {
    for (const { room, source: madeFor } of this.allMade()) {
      if (madeFor !== source || room === winner) continue;
      this.deps.log.info({ source, room, winner }, 'leaving a room that lost to another for the same source');
      await this.deps.homeserver.leave(room);
      await this.deps.homeserver.forget(room);
      this.made.delete(room);
    }
  }

  /** The person is invited to the chat and to the space. */
  async invite(person: string, rooms: readonly string[]): Promise<void> {
    for (const room of rooms) await this.inviteOnce(room, person, await this.deps.homeserver.roomState(room));
  }

  /** A person who asks to be let in again is invited to what they left; what they are in or declined to answer stays. */
  async bringBack(person: string, rooms: readonly string[]): Promise<void> {
    for (const room of rooms) {
      const member = find(await this.deps.homeserver.roomState(room), 'm.room.member', person);
      if (member?.content['membership'] === 'leave') await this.inviteTo(room, person);
    }
  }

  /** The room says that it was archived, perhaps before its records were lost. */
  async isArchived(room: string): Promise<boolean> {
    return isArchived(await this.deps.homeserver.roomState(room), this.deps.self);
  }

  /** A person with any membership is not invited again. */
  async inviteOnce(room: string, person: string, state: RoomEvent[]): Promise<void> {
    if (find(state, 'm.room.member', person) === undefined) await this.inviteTo(room, person);
  }

  private async inviteTo(room: string, person: string): Promise<void> {
    try {
      await this.deps.homeserver.invite(room, person);
    } catch (error) {
      // 403: a member by now, invited by the other replica in between; or somebody who takes no invites.
      if (!isTurnedDown(error) || error.detail.status !== 403) throw error;
      this.deps.log.info({ room, error: error.message }, 'the person could not be invited');
    }
  }

  private async create(source: string, person: string, wanted: Wanted): Promise<string> {
    const room = await this.deps.homeserver.createRoom(
      plainRoom({ creation_content: { [MADE_FOR_KEY]: { source, person, ...wanted } } }),
    );
    this.noteMade({ source, person, room, ...wanted });
    return room;
  }
}

function find(state: RoomEvent[], type: string, key: string): RoomEvent | undefined {
  return state.find((event) => event.type === type && event.state_key === key);
}

/** Only what was asked for: the argument may be a whole room. */
const wantedOf = ({ name, from, thread }: Wanted): Wanted => ({
  ...(name !== undefined && { name }),
  ...(from !== undefined && { from }),
  ...(thread !== undefined && { thread }),
});
