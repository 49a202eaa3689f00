import type { Debts } from './debts.js';
import { HomeserverError, type JoinedRoom, type RoomEvent, type SyncAnswer } from './homeserver.js';
import { isClosedToUs } from './refusal.js';
import { type Reader, readGap } from './timeline.js';

/** One /sync answer, made whole. */
export interface Batch {
  /** The position behind this batch, where nothing before it is unread: stored only as PROTOCOL C3 allows. */
  position?: string;
  rooms: RoomBatch[];
  invited: SyncAnswer['invited'];
  left: { room: string; events: RoomEvent[] }[];
}

export interface RoomBatch {
  room: string;
  /** Oldest first, each event once. */
  events: RoomEvent[];
  /** Read for the receiver, by its own rules ({@link ReadBefore}). */
  before: Before;
  /** State of our own writing that is not among `events`. */
  state: RoomEvent[];
  /** The homeserver had left events out. */
  limited: boolean;
  /**
   * Nothing is missing between the position before this batch and `events`. False in three cases: a `limited` room of
   * a first sync and a room that was owed (page back from `prevBatch` to the floor), and a gap that is `unreadable`.
   */
  filled: boolean;
  /** The homeserver lets us read the gap no more, and we are not in the room: `events` is what there is. */
  unreadable: boolean;
  /** Token just before `events[0]`, to page back from. */
  prevBatch?: string;
}

/** What stands before a room's events, and is taken in with them. */
export interface Before {
  /** Oldest first, up to `events[0]`. */
  events: RoomEvent[];
  /** The room takes the place of another one of ours. */
  goesOn: boolean;
}

type Given = Omit<RoomBatch, 'before'>;

/** Reads what is to be known of a room besides, by the receiver's rules; rejects with `HomeserverError`. */
export type ReadBefore = (room: Given, signal: AbortSignal) => Promise<Before>;

interface Completing {
  reader: Reader;
  debts: Debts;
  readBefore: ReadBefore;
}

const parallelRooms = 4;

/**
 * Fills every gap of an answer to a /sync from `since`, completely, before any of it is handed on. A room that cannot be
 * read this time is left out, and owed; those owed from before are read where they are due. Rejects when the signal
 * ends it.
 */
export async function completeBatch(
  completing: Completing,
  since: string | undefined,
  answer: SyncAnswer,
  signal: AbortSignal,
): Promise<Batch> {
  const { debts } = completing;
  const queue = roomsToRead(debts, answer).entries();
  const rooms: RoomBatch[] = [];
  let failed = false;
  const work = async () => {
    // One iterator, taken from by several workers.
    for (const [index, room] of queue) {
      if (failed) return;
      const whole = await readRoom(completing, since, room, signal);
      if (whole !== undefined) rooms[index] = whole;
    }
  };
  await Promise.all(Array.from({ length: parallelRooms }, work)).catch((error: unknown) => {
    failed = true;
    throw error;
  });
  const read = rooms.filter(Boolean);
  const gone = new Set([...read, ...answer.left].map(({ room }) => room));
  return {
    ...(debts.rooms().every((room) => gone.has(room)) && { position: answer.next_batch }),
    rooms: read,
    invited: answer.invited,
    left: answer.left.map(({ room, timeline }) => ({ room, events: timeline })),
  };
}

/** What is owed stands as a limited room with nothing of its timeline. */
function roomsToRead(debts: Debts, { joined, left, next_batch }: SyncAnswer): JoinedRoom[] {
  for (const { room, state } of joined) debts.tell(room, state);
  const outOf = new Set(left.map(({ room }) => room));
  const due = debts.rooms().filter((room) => debts.isDue(room) && !outOf.has(room));
  return [
    ...joined.filter(({ room }) => !debts.owes(room)),
    ...due.map((room) => ({
      room,
      limited: true,
      prevBatch: next_batch,
      timeline: [],
      state: debts.state(room),
    })),
  ];
}

/** Undefined where it cannot be read now. */
async function readRoom(
  completing: Completing,
  since: string | undefined,
  room: JoinedRoom,
  signal: AbortSignal,
): Promise<RoomBatch | undefined> {
  const { reader, debts } = completing;
  const started = reader.clock.monotonic();
  const from = debts.owes(room.room) ? undefined : since;
  try {
    return await completeRoom(completing, from, room, signal);
  } catch (error) {
    // A token that is refused is so for all of them.
    if (signal.aborted || !(error instanceof HomeserverError) || error.detail.status === 401) throw error;
    debts.failed(room, error, reader.clock.monotonic() - started);
    return undefined;
  }
}

async function completeRoom(
  { reader, readBefore }: Completing,
  since: string | undefined,
  room: JoinedRoom,
  signal: AbortSignal,
): Promise<RoomBatch> {
  const given = asGiven(room);
  try {
    const filled = given.limited ? await fillGap(reader, since, given, signal) : given;
    return { ...filled, before: await readBefore(filled, signal) };
  } catch (error) {
    if (!isClosedToUs(error)) throw error;
    // The position passes what nobody can read for us any more, and nothing else (PROTOCOL C3).
    if ((await reader.homeserver.joinedRooms(signal)).includes(room.room)) throw error;
    return { ...given, filled: false, unreadable: true, before: { events: [], goesOn: false } };
  }
}

function asGiven({ room, limited, prevBatch, timeline, state }: JoinedRoom): Given {
  const events = [...new Map(timeline.map((event) => [event.event_id, event])).values()];
  const token = prevBatch !== undefined && { prevBatch };
  return { room, events, state, limited, filled: true, unreadable: false, ...token };
}

async function fillGap(
  reader: Reader,
  since: string | undefined,
  given: Given,
  signal: AbortSignal,
): Promise<Given> {
  const { room, prevBatch, events } = given;
  if (since === undefined) return { ...given, filled: false };
  const known = new Set(events.map(({ event_id }) => event_id));
  const gap = { from: since, ...(prevBatch !== undefined && { to: prevBatch }), known };
  const missed = await readGap(reader, room, gap, signal);
  // A room just joined comes with events from before `since`: then there is no gap, and `since` lies behind them.
  if (missed.length === 0) return given;
  return { ...given, events: [...missed, ...events], prevBatch: since };
}
