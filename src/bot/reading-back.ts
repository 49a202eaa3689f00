import type { RoomEvent } from '../matrix/homeserver.js';
import { entranceOf } from './entrance.js';

/** Whoever sent them, and more than one page. */
const OLD_IN_A_ROW = 100;

/**
 * Whether a reading back has come to events older than an instant, to be asked of each, newest first. `origin_server_ts`
 * is the word of the sender's server, and any member's may be wrong: one event is believed only where it is our own,
 * which our homeserver has dated; of others' a long row, of `inRow` events.
 */
export function olderThan(
  self: string,
  instant: number,
  inRow = OLD_IN_A_ROW,
): (event: RoomEvent) => boolean {
  let old = 0;
  return ({ sender, origin_server_ts: ts }) => {
    old = ts < instant ? old + 1 : 0;
    return old > 0 && (sender === self || old >= inRow);
  };
}

/**
 * Where the reading back of a room ends, to be asked of each event, newest first: at the floor, at the invite by which
 * we came in (our join, where there was none), and at genesis (PROTOCOL C4, C5). Where there is a floor to reach, no row
 * of others' old events counts.
 */
export function endOfReading(
  self: string,
  genesis: number | undefined,
  { floor, goesOn = false }: { floor?: string | undefined; goesOn?: boolean } = {},
): (event: RoomEvent) => boolean {
  let invite: string | undefined;
  const isOld = olderThan(self, genesis ?? 0, floor === undefined ? OLD_IN_A_ROW : Infinity);
  return (event) => {
    if (genesis === undefined || event.event_id === floor || event.event_id === invite) return true;
    const entrance = entranceOf(event, self);
    if (entrance !== undefined && entrance.invite === undefined && !(goesOn && entrance.first)) return true;
    invite ??= entrance?.invite;
    return isOld(event);
  };
}
