import { z } from 'zod';
import type { RoomEvent } from '../../matrix/homeserver.js';
import { serverOf } from '../../matrix/server-of.js';

const roomId = z.string().startsWith('!').max(255);
const tombstone = z.object({ replacement_room: roomId });
const creation = z.object({ predecessor: z.object({ room_id: roomId }) });
/** Host and port (Matrix spec, server names). */
const serverName = /^[A-Za-z0-9.:[\]-]{1,230}$/u;

/** It says that its room was upgraded. */
export const isTombstone = ({ type, state_key }: RoomEvent): boolean =>
  type === 'm.room.tombstone' && state_key === '';

/** The room that takes another's place, and servers that are in it. */
export interface Replacement {
  room: string;
  via: string[];
}

/**
 * What a tombstone says (Matrix spec, room upgrades). Whoever wrote it is in the new room or knows who is, and a room
 * id of an earlier room version ends in the server that made it. No server is asked by a garbled name, nor our own.
 */
export function replacementOf(event: RoomEvent, self: string): Replacement | undefined {
  if (!isTombstone(event)) return undefined;
  const parsed = tombstone.safeParse(event.content);
  if (!parsed.success) return undefined;
  const { replacement_room: room } = parsed.data;
  const via = new Set([serverOf(event.sender), serverOf(room)]);
  via.delete(serverOf(self));
  return { room, via: [...via].filter((server) => serverName.test(server)) };
}

/** The room that the create event among a room's state says it takes the place of. */
export function predecessorOf(state: readonly RoomEvent[]): string | undefined {
  return predecessorIn(state.find(isCreate)?.content);
}

/** The same, of a create event's content. */
export function predecessorIn(content: unknown): string | undefined {
  const parsed = creation.safeParse(content);
  return parsed.success ? parsed.data.predecessor.room_id : undefined;
}

/** The content of a tombstone names that room. */
export function names(content: unknown, room: string): boolean {
  const parsed = tombstone.safeParse(content);
  return parsed.success && parsed.data.replacement_room === room;
}

export const isCreate = ({ type, state_key }: RoomEvent): boolean =>
  type === 'm.room.create' && state_key === '';
