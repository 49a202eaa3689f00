import type { Debts } from './debts.js';
import { HomeserverError, type JoinedRoom, type RoomEvent, type SyncAnswer } from './homeserver.js';
import { isClosedToUs } from './refusal.js';
import { type Reader, readGap } from './timeline.js';

/** One /sync answer, made whole. */
export interface Batch {
  /** The position behind this batch; stored only as PROTOCOL C3 allows, and with `owed`. Absent: none may be stored. */
  position?: string;
  /** Rooms that the position passes, each unread from a position of its own on. */
  owed: { room: string; from: string }[];
  /** Rooms that are owed no more. */
  paid: string[];
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
   * Nothing is missing between the position before this batch and `events`. False in two cases: a `limited` room of
   * a first sync (page back from `prevBatch` to the floor), and a gap that is `unreadable`.
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

/** A room as /sync and its gap tell it. */
export type Given = Omit<RoomBatch, 'before'>;

/** Reads what is to be known of a room besides, by the receiver's rules; rejects with `HomeserverError`. */
export type ReadBefore = (room: Given, signal: AbortSignal) => Promise<Before>;

interface Completing {
  reader: Reader;
  debts: Debts;
  readBefore: ReadBefore;
}

const parallelRooms = 4;
/** Where one room fails, no other is tried after so long: a homeserver that answers none would hold the batch up for each. */
const TRYING_MS = 5000;

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
  const round: Round = { since, signal, startedAt: completing.reader.clock.monotonic(), state: 'well' };
  const queue = roomsToRead(debts, answer).entries();
  const rooms: RoomBatch[] = [];
  const work = async () => {
    // One iterator, taken from by several workers.
    for (const [index, room] of queue) {
      if (round.state === 'over') return;
      const whole = await readRoom(completing, round, room);
      if (whole !== undefined) rooms[index] = whole;
    }
  };
  await Promise.all(Array.from({ length: parallelRooms }, work)).catch((error: unknown) => {
    round.state = 'over';
    throw error;
  });
  const read = rooms.filter(Boolean);
  const settled = new Set([...read, ...answer.left].map(({ room }) => room));
  return {
    ...(!debts.holdPosition(settled) && { position: answer.next_batch }),
    owed: debts.unkept().filter(({ room }) => !settled.has(room)),
    paid: debts.rooms().filter((room) => settled.has(room)),
    rooms: read,
    invited: answer.invited,
    left: answer.left.map(({ room, timeline }) => ({ room, events: timeline })),
  };
}

interface Round {
  since: string | undefined;
  signal: AbortSignal;
  /** Monotonic milliseconds. */
  startedAt: number;
  /** `failing`: some room could not be read. `over`: the whole of it failed. */
  state: 'well' | 'failing' | 'over';
}

/** What is owed stands as a limited room with nothing of its timeline. */
function roomsToRead(debts: Debts, { joined, left, next_batch }: SyncAnswer): JoinedRoom[] {
  for (const { room, state } of joined) debts.tell(room, state);
  const outOf = new Set(left.map(({ room }) => room));
  const due = debts.due().filter((room) => !outOf.has(room));
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
  round: Round,
  room: JoinedRoom,
): Promise<RoomBatch | undefined> {
  const { reader, debts } = completing;
  const from = debts.owes(room.room) ? debts.from(room.room) : round.since;
  const startedAt = reader.clock.monotonic();
  if (room.limited && round.state === 'failing' && startedAt - round.startedAt > TRYING_MS) {
    debts.owe(room, from);
    return undefined;
  }
  try {
    return await completeRoom(completing, from, room, round.signal);
  } catch (error) {
    const isOurs = round.signal.aborted || !(error instanceof HomeserverError);
    // A token that is refused is so for all of them.
    if (isOurs || round.state === 'over' || error.detail.status === 401) throw error;
    round.state = 'failing';
    debts.owe(room, from);
    debts.failed(room.room, error, reader.clock.monotonic() - startedAt);
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
