import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';

const PAGE = 100;

/** What stands in a room before an event, newest first, page by page; the order is the homeserver's. */
export async function* eventsBefore(
  homeserver: Homeserver,
  room: string,
  event: string,
  signal: AbortSignal,
): AsyncGenerator<RoomEvent> {
  let { after: from } = await homeserver.context(room, event, signal);
  for (;;) {
    const page = await homeserver.messages(room, { from, dir: 'b', limit: PAGE }, signal);
    for (const one of page.chunk) if (one.event_id !== event) yield one;
    if (page.chunk.length === 0 || page.end === undefined || page.end === from) return;
    from = page.end;
  }
}

/** What stands in a room after an event, oldest first. */
export async function* eventsAfter(
  homeserver: Homeserver,
  room: string,
  event: string,
  signal: AbortSignal,
): AsyncGenerator<RoomEvent> {
  let { after: from } = await homeserver.context(room, event, signal);
  for (;;) {
    const page = await homeserver.messages(room, { from, dir: 'f', limit: PAGE }, signal);
    yield* page.chunk;
    if (page.chunk.length === 0 || page.end === undefined || page.end === from) return;
    from = page.end;
  }
}
