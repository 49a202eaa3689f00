import { type Clock, sleep } from '../time/clock.js';
import { backoffMs } from './backoff.js';
import { type Homeserver, HomeserverError, type RoomEvent } from './homeserver.js';

/** What paging needs. Rate limits are waited out page by page; any other failure rejects with `HomeserverError`. */
export interface Reader {
  homeserver: Homeserver;
  clock: Clock;
  random: () => number;
  /** Told of every page that arrived. */
  onSuccess?: () => void;
}

interface Range {
  from?: string;
  to?: string;
  dir: 'f' | 'b';
}

/** All pages of a range, each in the order of `dir`, with the token behind it (absent behind the last). */
async function* pages(reader: Reader, room: string, range: Range, signal?: AbortSignal) {
  let from = range.from;
  for (;;) {
    const page = { ...range, ...(from === undefined ? {} : { from }) };
    const { chunk, end } = await waitOutLimits(
      reader,
      () => reader.homeserver.messages(room, page, signal),
      signal,
    );
    yield { chunk, end };
    // A token that does not move on would be asked for again for ever.
    if (end === undefined || end === from) return;
    from = end;
  }
}

async function waitOutLimits<T>(reader: Reader, ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let refusals = 1; ; refusals++) {
    try {
      const answer = await ask();
      reader.onSuccess?.();
      return answer;
    } catch (error) {
      if (!(error instanceof HomeserverError) || error.code !== 'rate-limited') throw error;
      await sleepOrAbort(reader.clock, backoffMs(error, refusals, reader.random), signal);
    }
  }
}

async function sleepOrAbort(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(clock, ms, signal);
  } catch {
    throw new HomeserverError('aborted', 'given up by us while waiting out a rate limit');
  }
}

/**
 * The events after token `from` up to token `to`, oldest first, without those in `known`; where one of
 * `known` is met, reading ends.
 */
export async function readGap(
  reader: Reader,
  room: string,
  gap: { from: string; to?: string; known: ReadonlySet<string> },
  signal?: AbortSignal,
): Promise<RoomEvent[]> {
  const { known, ...tokens } = gap;
  const events = new Map<string, RoomEvent>();
  for await (const { chunk } of pages(reader, room, { ...tokens, dir: 'f' }, signal)) {
    for (const event of chunk) if (!known.has(event.event_id)) events.set(event.event_id, event);
    if (chunk.some((event) => known.has(event.event_id))) break;
  }
  return [...events.values()];
}

export interface ReadBack {
  /** Oldest first. */
  events: RoomEvent[];
  /** `found`: `until` matched `events[0]`. `start`: the room (or what we may see of it) begins at `events[0]`. */
  ended: 'found' | 'start' | 'limit';
  /** Where to read on further back, when `ended` is `limit`. */
  before?: string;
}

/** Reads back from token `from` until an event matches `until` (inclusive), the start, or about `limit` events. */
export async function readBack(
  reader: Reader,
  room: string,
  options: { from: string; until: (event: RoomEvent) => boolean; limit: number },
  signal?: AbortSignal,
): Promise<ReadBack> {
  const newestFirst = new Map<string, RoomEvent>();
  const done = (ended: ReadBack['ended'], before?: string): ReadBack => ({
    events: [...newestFirst.values()].reverse(),
    ended,
    ...(before === undefined ? {} : { before }),
  });
  for await (const { chunk, end } of pages(reader, room, { from: options.from, dir: 'b' }, signal)) {
    for (const event of chunk) {
      newestFirst.set(event.event_id, event);
      if (options.until(event)) return done('found');
    }
    if (newestFirst.size >= options.limit && end !== undefined) return done('limit', end);
  }
  return done('start');
}

/** Every event from `eventId` (inclusive) to now, oldest first. `refused` where we may not see that event. */
export async function readFrom(
  reader: Reader,
  room: string,
  eventId: string,
  signal?: AbortSignal,
): Promise<RoomEvent[]> {
  const { event, after } = await waitOutLimits(
    reader,
    () => reader.homeserver.context(room, eventId, signal),
    signal,
  );
  const rest = await readGap(reader, room, { from: after, known: new Set() }, signal);
  return [event, ...rest.filter(({ event_id }) => event_id !== event.event_id)];
}
