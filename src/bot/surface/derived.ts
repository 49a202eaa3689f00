import { z } from 'zod';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { Outbox } from '../outbox.js';
import type { Records, RoomRecord, Standing } from '../records.js';
import { serverOf } from './spaces.js';

/** Content key of a state event that follows from a record: which write of it. */
const DERIVED_KEY = 'dev.understudy.derived';
/** State event in a chat room that `!archive` closed. */
export const ARCHIVED_TYPE = 'dev.understudy.archived';

const derivedFrom = z.object({ stamp: z.number(), cause: z.string() });

/** The room says that it was closed: our own user's word alone counts. */
export const isArchived = (state: readonly RoomEvent[], self: string): boolean =>
  state.some(({ type, state_key, sender }) => type === ARCHIVED_TYPE && state_key === '' && sender === self);

/**
 * A chat's name and its place in the person's space, which follow from its record. A state `PUT` has no transaction id
 * and may land late, over a newer one; so each names the write that it follows from, and whoever sees one that
 * follows from an earlier write than its record's writes it again (PROTOCOL P3).
 */
export class DerivedState {
  constructor(
    private readonly deps: { homeserver: Homeserver; outbox: Outbox; records: Records; self: string },
  ) {}

  /** The chat whose derived state this event puts back behind its record; undefined when it does not. */
  behind(room: string, event: RoomEvent): string | undefined {
    if (event.sender !== this.deps.self) return undefined;
    if (event.type === 'm.room.name' && event.state_key === '')
      return isLower(event, this.name(room), this.deps.self) ? room : undefined;
    if (event.type !== 'm.space.child' || event.state_key === undefined) return undefined;
    return isLower(event, this.place(event.state_key), this.deps.self) ? event.state_key : undefined;
  }

  /** Its name or place was changed since it was made: its maker alone writes the first ones. */
  hasChanged(room: string): boolean {
    const made = this.deps.records.standing(room, 'space_id');
    return this.name(room)?.cause !== made?.cause || this.place(room)?.cause !== made?.cause;
  }

  /** Reads what stands, and writes what is missing or behind. */
  async write(room: string): Promise<void> {
    const record = this.deps.records.room(room);
    if (record?.room_type !== 'chat') return;
    // A name that is not ours to write keeps the chat from no place.
    const named = await Promise.allSettled([this.writeName(room)]);
    const place = this.place(room);
    if (record.space_id !== undefined && place !== undefined) await this.writePlace(room, record, place);
    for (const one of named) if (one.status === 'rejected') throw one.reason;
  }

  private async writeName(room: string): Promise<void> {
    const { homeserver, outbox, self } = this.deps;
    const name = this.name(room);
    const named = find(await homeserver.roomState(room), 'm.room.name', '');
    if (name !== undefined && isLower(named, name, self))
      await outbox.state(room, 'm.room.name', '', { name: name.value, ...mark(name) });
  }

  private async writePlace(room: string, record: RoomRecord, place: Standing): Promise<void> {
    const { homeserver, outbox, self } = this.deps;
    if (record.space_id === undefined) return;
    const child = find(await homeserver.roomState(record.space_id), 'm.space.child', room);
    if (!isLower(child, place, self)) return;
    const order = (record.chat_id ?? '').replace(/\D/g, '').padStart(6, '0');
    // Without `via` a child is none (Matrix spec, spaces).
    const content = record.archived ? {} : { via: [serverOf(self)], order };
    await outbox.state(record.space_id, 'm.space.child', room, { ...content, ...mark(place) });
  }

  private name(room: string): Standing | undefined {
    return this.deps.records.standing(room, 'display_name');
  }

  private place(room: string): Standing | undefined {
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

function find(state: readonly RoomEvent[], type: string, key: string): RoomEvent | undefined {
  return state.find((event) => event.type === type && event.state_key === key);
}
