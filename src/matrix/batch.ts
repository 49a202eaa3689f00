import type { JoinedRoom, RoomEvent, SyncAnswer } from './homeserver.js';
import { isClosedToUs } from './refusal.js';
import { type Reader, readGap } from './timeline.js';

/** One /sync answer, made whole. */
export interface Batch {
  /** The position behind this batch; stored by the receiver only as PROTOCOL C3 allows. */
  nextBatch: string;
  rooms: RoomBatch[];
  invited: SyncAnswer['invited'];
  left: { room: string; events: RoomEvent[] }[];
}

export interface RoomBatch {
  room: string;
  /** Oldest first, each event once. */
  events: RoomEvent[];
  /** State of our own writing that is not among `events`. */
  state: RoomEvent[];
  /** The homeserver had left events out. */
  limited: boolean;
  /**
   * Nothing is missing between the position before this batch and `events`. False in two cases: a `limited` room of
   * a first sync (page back from `prevBatch` to the floor), and a gap that is `unreadable`.
   */
  filled: boolean;
  /** The homeserver lets us read the gap no more, and we are not in the room: `events` is what there is. */
  unreadable: boolean;
  /** Token just before `events[0]`, to page back from. */
  prevBatch?: string;
}

const parallelRooms = 4;

/**
 * Fills every gap of an answer to a /sync from `since`, completely, before any of it is handed on. Rejects with
 * `HomeserverError` when a gap could not be read this time; the same /sync is then to be asked again.
 */
export async function completeBatch(
  reader: Reader,
  since: string | undefined,
  answer: SyncAnswer,
  signal: AbortSignal,
): Promise<Batch> {
  const rooms: RoomBatch[] = [];
  const queue = answer.joined.entries();
  let failed = false;
  const work = async () => {
    // One iterator, taken from by several workers.
    for (const [index, room] of queue) {
      if (failed) return;
      rooms[index] = await completeRoom(reader, since, room, signal);
    }
  };
  await Promise.all(Array.from({ length: parallelRooms }, work)).catch((error: unknown) => {
    failed = true;
    throw error;
  });
  return {
    nextBatch: answer.next_batch,
    rooms,
    invited: answer.invited,
    left: answer.left.map(({ room, timeline }) => ({ room, events: timeline })),
  };
}

async function completeRoom(
  reader: Reader,
  since: string | undefined,
  { room, limited, prevBatch, timeline, state }: JoinedRoom,
  signal: AbortSignal,
): Promise<RoomBatch> {
  const known = new Map(timeline.map((event) => [event.event_id, event]));
  const whole = { room, events: [...known.values()], state, limited, filled: true, unreadable: false };
  const asGiven = { ...whole, ...(prevBatch === undefined ? {} : { prevBatch }) };
  if (!limited) return asGiven;
  if (since === undefined) return { ...asGiven, filled: false };
  try {
    const gap = {
      from: since,
      ...(prevBatch === undefined ? {} : { to: prevBatch }),
      known: new Set(known.keys()),
    };
    const missed = await readGap(reader, room, gap, signal);
    // A room just joined comes with events from before `since`: then there is no gap, and `since` lies behind them.
    if (missed.length === 0) return asGiven;
    return { ...whole, events: [...missed, ...whole.events], prevBatch: since };
  } catch (error) {
    if (!isClosedToUs(error)) throw error;
    // The position passes what nobody can read for us any more, and nothing else (PROTOCOL C3).
    if ((await reader.homeserver.joinedRooms(signal)).includes(room)) throw error;
    return { ...asGiven, filled: false, unreadable: true };
  }
}
