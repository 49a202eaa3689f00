import type { RoomEvent } from '../../matrix/homeserver.js';
import type { Records } from '../records.js';
import { isTombstone } from './tombstone.js';

/** What is remembered of chats that were looked at; more are looked at again. */
const MOST_CHATS = 10_000;

/**
 * When a chat's place in its person's space is looked at: at the first use of the chat after this process began, and
 * at the first after something happened to the space or to the chat's place in it. The answer waits for none of it.
 */
export class SpaceUse {
  /** Chat to the space in which its place was looked at. */
  private readonly looked = new Map<string, string>();

  constructor(
    private readonly deps: {
      records: Pick<Records, 'room'>;
      /** Has the chat's name and place looked at soon. */
      look: (room: string) => void;
    },
  ) {}

  note(room: string): void {
    const record = this.deps.records.room(room);
    if (record?.room_type !== 'chat' || record.space_id === undefined) return;
    if (this.looked.get(room) === record.space_id) return;
    if (this.looked.size >= MOST_CHATS) this.looked.clear();
    this.looked.set(room, record.space_id);
    this.deps.look(room);
  }

  /** Everything that is read of a room. */
  read(room: string, event: RoomEvent): void {
    if (isTombstone(event)) this.forget(room);
    if (event.type === 'm.space.child' && event.state_key !== undefined && !('via' in event.content))
      this.looked.delete(event.state_key);
  }

  /** The bot is in the room no more, which may be a space. */
  forget(space: string): void {
    for (const [room, of] of this.looked) if (of === space) this.looked.delete(room);
  }
}
