import { z } from 'zod';
import type { JoinedRoom, RoomEvent, StrippedState, SyncAnswer } from './homeserver.js';

/** Told how many items of an answer were dropped because they are malformed. */
export type OnDropped = (count: number) => void;

/** The very object, not a copy: content is kept as it came, and a key like `__proto__` is never assigned. */
const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const jsonList = z.array(z.unknown());

const roomEvent: z.ZodType<RoomEvent> = z
  .object({
    event_id: z.string().min(1),
    type: z.string().min(1),
    sender: z.string().min(1),
    origin_server_ts: z.number(),
    state_key: z.string().optional(),
    content: jsonObject,
    unsigned: jsonObject.optional().catch(undefined),
    redacts: z.string().optional().catch(undefined),
  })
  .transform(({ state_key, unsigned, redacts, ...event }) => ({
    ...event,
    ...(state_key === undefined ? {} : { state_key }),
    ...(unsigned === undefined ? {} : { unsigned }),
    ...(redacts === undefined ? {} : { redacts }),
  }));

const strippedState: z.ZodType<StrippedState> = z.object({
  type: z.string().min(1),
  sender: z.string().min(1),
  state_key: z.string(),
  content: jsonObject,
});

const section = jsonObject.optional().catch(undefined);
const eventList = z.object({ events: jsonList.optional() });
const joinedRoom = z.object({
  timeline: z
    .object({
      events: jsonList.optional(),
      limited: z.boolean().optional().catch(undefined),
      prev_batch: z.string().optional().catch(undefined),
    })
    .optional(),
  state: eventList.optional().catch(undefined),
});
const invitedRoom = z.object({ invite_state: eventList.optional().catch(undefined) });
const leftRoom = z.object({ timeline: eventList.optional().catch(undefined) });
const syncBody = z.object({
  next_batch: z.string().min(1),
  rooms: z.object({ join: section, invite: section, leave: section }).optional(),
});

/** The well-formed items of a list, in order. */
function keep<T>(schema: z.ZodType<T>, items: unknown[] | undefined, onDropped: OnDropped): T[] {
  const kept: T[] = [];
  for (const item of items ?? []) {
    const parsed = schema.safeParse(item);
    if (parsed.success) kept.push(parsed.data);
  }
  const dropped = (items?.length ?? 0) - kept.length;
  if (dropped > 0) onDropped(dropped);
  return kept;
}

function keepRooms<T>(
  schema: z.ZodType<T>,
  rooms: Record<string, unknown> | undefined,
  onDropped: OnDropped,
): [string, T][] {
  const entries = Object.entries(rooms ?? {});
  const kept: [string, T][] = [];
  for (const [room, body] of entries) {
    const parsed = schema.safeParse(body);
    if (parsed.success) kept.push([room, parsed.data]);
  }
  if (kept.length < entries.length) onDropped(entries.length - kept.length);
  return kept;
}

/** @throws ZodError when it is not an event. */
export function parseEvent(body: unknown): RoomEvent {
  return roomEvent.parse(body);
}

/** Undefined when it is not an event. */
export const eventOf = (body: unknown): RoomEvent | undefined => roomEvent.safeParse(body).data;

/** @throws ZodError when it is no JSON object. */
export const parseContent = (body: unknown): Record<string, unknown> => jsonObject.parse(body);

/** @throws ZodError when it is not a list; malformed events in it are dropped. */
export function parseEvents(body: unknown, onDropped: OnDropped): RoomEvent[] {
  return keep(roomEvent, jsonList.parse(body), onDropped);
}

/** @throws ZodError when there is no `next_batch`; malformed events and rooms are dropped. */
export function parseSync(body: unknown, onDropped: OnDropped): SyncAnswer {
  const { next_batch, rooms } = syncBody.parse(body);
  return {
    next_batch,
    joined: keepRooms(joinedRoom, rooms?.join, onDropped).map(([room, { timeline, state }]): JoinedRoom => ({
      room,
      limited: timeline?.limited ?? false,
      ...(timeline?.prev_batch === undefined ? {} : { prevBatch: timeline.prev_batch }),
      timeline: keep(roomEvent, timeline?.events, onDropped),
      state: keep(roomEvent, state?.events, onDropped),
    })),
    invited: keepRooms(invitedRoom, rooms?.invite, onDropped).map(([room, { invite_state }]) => ({
      room,
      state: keep(strippedState, invite_state?.events, onDropped),
    })),
    left: keepRooms(leftRoom, rooms?.leave, onDropped).map(([room, { timeline }]) => ({
      room,
      timeline: keep(roomEvent, timeline?.events, onDropped),
    })),
  };
}

const messagesBody = z.object({ chunk: jsonList, end: z.string().optional().catch(undefined) });
const relationsBody = z.object({ chunk: jsonList, next_batch: z.string().optional().catch(undefined) });

/** @throws ZodError when there is no `chunk`; malformed events are dropped. */
export function parseMessages(body: unknown, onDropped: OnDropped): { chunk: RoomEvent[]; end?: string } {
  const { chunk, end } = messagesBody.parse(body);
  return { chunk: keep(roomEvent, chunk, onDropped), ...(end === undefined ? {} : { end }) };
}

/** @throws ZodError as {@link parseMessages}. */
export function parseRelations(body: unknown, onDropped: OnDropped): { chunk: RoomEvent[]; end?: string } {
  const { chunk, next_batch } = relationsBody.parse(body);
  return {
    chunk: keep(roomEvent, chunk, onDropped),
    ...(next_batch === undefined ? {} : { end: next_batch }),
  };
}

export const contextBody = z.object({ event: roomEvent, end: z.string() });
export const whoamiBody = z.object({ user_id: z.string().min(1), device_id: z.string().min(1) });
export const eventIdBody = z.object({ event_id: z.string().min(1) });
export const roomIdBody = z.object({ room_id: z.string().min(1) });
export const joinedRoomsBody = z.object({ joined_rooms: z.array(z.string()) });
export const loginBody = z.object({
  access_token: z.string().min(1),
  user_id: z.string().min(1),
  device_id: z.string().min(1),
});
