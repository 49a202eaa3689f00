import { z } from 'zod';
import { faultOfKey } from '../../keyed/bounds.js';
import type { HeardEvent } from '../matrix-storage/heard-events.js';

const event = z.looseObject({
  event_id: z.string().min(1).max(255),
  origin_server_ts: z.number().optional(),
});

/** An event has at most 65,536 bytes; what a client adds to it is little. */
const MOST_BYTES = 1 << 17;

/** What is kept of an event; undefined for what is none, as whatever hands it over may be told anything. */
export function heardEvent(name: string, room: unknown, given: unknown, now: number): HeardEvent | undefined {
  const parsed = event.safeParse(given);
  if (!parsed.success || typeof room !== 'string' || faultOfKey(parsed.data.event_id) !== undefined) {
    return undefined;
  }
  const text = textOf(given);
  if (text === undefined || text.length > MOST_BYTES) return undefined;
  const { event_id: id, origin_server_ts: sent } = parsed.data;
  const at = sent !== undefined && Number.isFinite(sent) ? Math.min(sent, now) : now;
  return { name, id, room, text, at, attempts: 0 };
}

function textOf(given: unknown): string | undefined {
  try {
    return JSON.stringify(given);
  } catch (error) {
    // It refers to itself, or has members that are no JSON.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
