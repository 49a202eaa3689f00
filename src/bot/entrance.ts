import type { RoomEvent } from '../matrix/homeserver.js';
import { predecessorOf } from './surface/tombstone.js';

/** A join of ours by which we came in; `invite` is the event that it follows, where it follows an invite. */
export interface Entrance {
  invite: string | undefined;
  /** We were never in the room, nor invited, before. */
  first: boolean;
}

/** Undefined for all else, also for a change of profile: a join that replaces a join (PROTOCOL P4). */
export function entranceOf(event: RoomEvent, self: string): Entrance | undefined {
  if (ownMembership(event, self) !== 'join') return undefined;
  const [before, replaced] = [membershipBefore(event), event.unsigned?.['replaces_state']];
  // That it replaces something of which nothing is told is no word that we were out.
  if (before === 'join' || (before === undefined && replaced !== undefined)) return undefined;
  const invite = before === 'invite' && typeof replaced === 'string' ? replaced : undefined;
  return { invite, first: before === undefined };
}

/**
 * Of a room's events, oldest first and without a gap, those from before we were invited, or between our leaving and
 * the next invite: what people said there was not for us (PROTOCOL C5). Where the invite is not among them the join
 * counts. `goesOn`: the room takes the place of one of ours, and all in it is said to the same bot.
 */
export function outsideOf(events: readonly RoomEvent[], self: string, goesOn: boolean): Set<string> {
  const outside = new Set<string>();
  let from = 0;
  for (const [i, event] of events.entries()) {
    const membership = ownMembership(event, self);
    const before = membershipBefore(event);
    const isOut = membership === 'leave' || membership === 'ban';
    if (isOut && (before === 'join' || before === undefined)) from = i;
    const entrance = entranceOf(event, self);
    if (entrance === undefined) continue;
    const invited = events.findIndex(({ event_id }) => event_id === entrance.invite);
    const isSuccessor = goesOn && entrance.first;
    const to = isSuccessor ? from : invited === -1 ? i : invited;
    for (const one of events.slice(from, to)) outside.add(one.event_id);
    from = i;
  }
  return outside;
}

/** The invite to which the events must be read back, so that what was said since then is known too. */
export function inviteBefore(events: readonly RoomEvent[], self: string): string | undefined {
  for (const event of events) {
    if (ownMembership(event, self) === undefined) continue;
    const invite = entranceOf(event, self)?.invite;
    return events.some(({ event_id }) => event_id === invite) ? undefined : invite;
  }
  return undefined;
}

/** We came in as somebody new. */
export const isNewTo = (events: readonly RoomEvent[], self: string): boolean =>
  events.some((event) => entranceOf(event, self)?.first);

/** The room says that it takes the place of another, of which we have a record (Matrix spec, room upgrades). */
export function goesOnFrom(
  events: readonly RoomEvent[],
  records: { room(room: string): object | undefined },
): boolean {
  const old = predecessorOf(events);
  return old !== undefined && records.room(old) !== undefined;
}

const ownMembership = ({ type, state_key, content }: RoomEvent, self: string): unknown =>
  type === 'm.room.member' && state_key === self ? content['membership'] : undefined;

const membershipBefore = ({ unsigned }: RoomEvent): unknown =>
  (unsigned?.['prev_content'] as { membership?: unknown } | undefined)?.membership;
