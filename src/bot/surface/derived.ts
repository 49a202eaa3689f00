import { z } from 'zod';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import { serverOf } from '../../matrix/server-of.js';
import type { Outbox } from '../outbox.js';
import type { Records, Standing } from '../records.js';
import type { Home } from './healing.js';

/** Content key of a state event that follows from a record: which write of it. */
const DERIVED_KEY = 'dev.understudy.derived';
/** State event in a chat room that `!archive` closed. */
export const ARCHIVED_TYPE = 'dev.understudy.archived';

const derivedFrom = z.object({ stamp: z.number(), cause: z.string() });

/** The room says that it was closed: our own user's word alone counts. */
export const isArchived = (state: readonly RoomEvent[], self: string): boolean =>
  archiving(state, self) !== undefined;

/** The command that the room says closed it. */
export const archivedBy = (state: readonly RoomEvent[], self: string): unknown =>
  archiving(state, self)?.content['source'];

const archiving = (state: readonly RoomEvent[], self: string): RoomEvent | undefined =>
  state.find(({ type, state_key, sender }) => type === ARCHIVED_TYPE && state_key === '' && sender === self);

/**
 * A chat's name and its place in the person's space, which follow from its record. A state `PUT` has no transaction id
 * and may land late, over a newer one; so each names the write that it follows from, and whoever sees one that
 * follows from an earlier write than its record's writes it again (PROTOCOL P3).
 */
export class DerivedState {
  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      outbox: Outbox;
      records: Records;
      self: string;
      /** The person's space, which stands. */
      home: (person: string, signal: AbortSignal) => Promise<Home>;
    },
  ) {}

  /** The chat whose derived state this event puts back behind its record; undefined when it does not. */
  behind(room: string, event: RoomEvent): string | undefined {
    if (event.sender !== this.deps.self) return undefined;
    if (event.type === 'm.room.name' && event.state_key === '')
      return isLower(event, this.name(room), this.deps.self) ? room : undefined;
    if (event.type !== 'm.space.child' || event.state_key === undefined) return undefined;
    // What stands in an earlier space is not looked at any more.
    if (this.deps.records.room(event.state_key)?.space_id !== room) return undefined;
    return isLower(event, this.placed(event.state_key), this.deps.self) ? event.state_key : undefined;
  }

  /** Its name or place was changed since it was made: its maker alone writes the first ones. */
  hasChanged(room: string): boolean {
    const made = this.deps.records.standing(room, 'space_id');
    return this.name(room)?.cause !== made?.cause || this.placed(room)?.cause !== made?.cause;
  }

  /** Reads what stands, and writes what is missing or behind. */
  async write(room: string, signal: AbortSignal): Promise<void> {
    const record = this.deps.records.room(room);
    if (record?.room_type !== 'chat') return;
    // A name that is not ours to write keeps the chat from no place.
    const named = await Promise.allSettled([this.writeName(room)]);
    const person = record.matrix_user_id;
    if (person !== undefined && record.space_id !== undefined)
      await this.place(room, await this.deps.home(person, signal), true);
    for (const one of named) if (one.status === 'rejected') throw one.reason;
  }

  private async writeName(room: string): Promise<void> {
    const { homeserver, outbox, self } = this.deps;
    const name = this.name(room);
    const named = find(await homeserver.roomState(room), 'm.room.name', '');
    if (name !== undefined && isLower(named, name, self))
      await outbox.state(room, 'm.room.name', '', { name: name.value, ...mark(name) });
  }

  /**
   * Puts the chat where its record says, if it is not there. `again`: also where somebody took it out by hand; an
   * archived one stays out.
   */
  async place(room: string, { space, state }: Home, again = false): Promise<void> {
    const { outbox, records, self } = this.deps;
    const record = records.room(room);
    const place = this.placed(room);
    if (record === undefined || place === undefined) return;
    const child = find(state, 'm.space.child', room);
    const isBack = again && !record.archived && isTakenOut(child, self);
    if (!isBack && !isLower(child, place, self)) return;
    const order = (record.chat_id ?? '').replace(/\D/g, '').padStart(6, '0');
    // Without `via` a child is none (Matrix spec, spaces).
    const content = record.archived ? {} : { via: [serverOf(self)], order };
    await outbox.state(space, 'm.space.child', room, { ...content, ...mark(place) });
  }

  private name(room: string): Standing | undefined {
    return this.deps.records.standing(room, 'display_name');
  }

  private placed(room: string): Standing | undefined {
    const { records } = this.deps;
    return records.standing(room, 'archived') ?? records.standing(room, 'space_id');
  }
}

const mark = ({ stamp, cause }: Standing) => ({ [DERIVED_KEY]: { stamp, cause } });

/** One that names no write, of an earlier version or of a person, is as old as its time. */
function isLower(event: RoomEvent | undefined, to: Standing | undefined, self: string): boolean {
  if (to === undefined) return false;
  if (event === undefined) return true;
  const parsed = derivedFrom.safeParse(event.sender === self ? event.content[DERIVED_KEY] : undefined);
  const from = parsed.success ? parsed.data : { stamp: event.origin_server_ts, cause: '' };
  return from.stamp < to.stamp || (from.stamp === to.stamp && from.cause < to.cause);
}

/** By somebody else, or by our account but not by us: what we write names the write that it follows from. */
const isTakenOut = (child: RoomEvent | undefined, self: string): boolean =>
  child !== undefined &&
  child.content['via'] === undefined &&
  (child.sender !== self || !derivedFrom.safeParse(child.content[DERIVED_KEY]).success);

function find(state: readonly RoomEvent[], type: string, key: string): RoomEvent | undefined {
  return state.find((event) => event.type === type && event.state_key === key);
}
