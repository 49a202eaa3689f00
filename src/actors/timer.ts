import { digest } from '../documents/digest.js';
import type { Json } from '../documents/json.js';
import type { Stamp } from '../documents/stamp.js';

/** A delayed event that waits for its time (PROTOCOL A4). */
export interface Timer {
  /** Also the id of the event that firing it writes: fired once, whoever fires. */
  readonly id: string;
  /** XState's name of the delayed event, by which it is cancelled. */
  readonly name: string;
  /** The event that entered the state it belongs to; `init` for the initial state. */
  readonly entry: string;
  /** Stamp of the entry + delay, milliseconds. */
  readonly due: number;
  /** What the machine gets when it fires. */
  readonly event: { readonly type: string; readonly [field: string]: Json };
}

export function timerOf(
  actor: string,
  entry: { id: string; stamp: Stamp },
  name: string,
  delay: number,
  event: Timer['event'],
): Timer {
  const id = digest('understudy-timer', actor, entry.id, name).toString('base64url').slice(0, 22);
  return { id: `timer:${id}`, name, entry: entry.id, due: entry.stamp + delay, event };
}
