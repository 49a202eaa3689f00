import type { RoomEvent } from '../matrix/homeserver.js';
import { entranceOf } from './entrance.js';

/** So many events in a row older than genesis end a reading, whoever sent them. */
const MOST_OLD_EVENTS = 100;

/**
 * Where the reading back of a room ends, to be asked of each event, newest first: at the floor, at the invite by which
 * we came in (our join, where there was none), and at genesis (PROTOCOL C4, C5). `origin_server_ts` is the word of the
 * sender's server, and any member's may be wrong: one event is believed only where it is our own, which our homeserver
 * has dated, and else a long row of them, where there is no floor to read to.
 */
export function endOfReading(
  self: string,
  genesis: number | undefined,
  { floor, goesOn = false }: { floor?: string | undefined; goesOn?: boolean } = {},
): (event: RoomEvent) => boolean {
  let invite: string | undefined;
  let old = 0;
  return (event) => {
    if (genesis === undefined || event.event_id === floor || event.event_id === invite) return true;
    const entrance = entranceOf(event, self);
    if (entrance !== undefined && entrance.invite === undefined && !(goesOn && entrance.first)) return true;
    invite ??= entrance?.invite;
    old = event.origin_server_ts < genesis ? old + 1 : 0;
    return old > 0 && (event.sender === self || (floor === undefined && old >= MOST_OLD_EVENTS));
  };
}
