import type { RoomEvent } from '../matrix/homeserver.js';
import type { Records } from './records.js';

/**
 * Whether a person's earlier message was said to the bot, for who reads a room back: one whose mark says that it was
 * not, or that it was gone before it was begun, ends and uses up nothing (docs/decisions/0021).
 */
export function wasForUs(records: Pick<Records, 'markReason'>, event: RoomEvent, room: string): boolean {
  const { event_id: id, sender, origin_server_ts: ts } = event;
  const reason = records.markReason({ id, room, sender, ts, kind: 'message' });
  return reason !== 'not-for-us' && reason !== 'dropped';
}
