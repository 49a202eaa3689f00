import type { Json } from '../documents/json.js';
import type { Stamp } from '../documents/stamp.js';

/** An event of an actor, as it stands in the documents. */
export interface LoggedEvent {
  /** Id of what caused it; the same id counts once. */
  readonly id: string;
  readonly type: string;
  /** Its place in the fold. */
  readonly stamp: Stamp;
  /** When it happened, milliseconds. */
  readonly ts: number;
  readonly data?: Readonly<Record<string, Json>> | undefined;
  /** Applied again from an earlier generation, which was cut without it (PROTOCOL A6). */
  readonly late?: boolean | undefined;
}

/** Events of our own, which no caller may send. */
export const TIMER = 'understudy.timer';
export const UPGRADE = 'understudy.upgrade';
export const RELEASE = 'understudy.release';

/** A2: by stamp, then id; strings compare by UTF-16 code unit, never by locale. */
export function compareEvents(
  a: Pick<LoggedEvent, 'id' | 'stamp'>,
  b: Pick<LoggedEvent, 'id' | 'stamp'>,
): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? -1 : 1;
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}
