import type { Write } from '../../documents/write.js';
import type { Homeserver } from '../../matrix/homeserver.js';
import type { Recorder } from '../actors/recorder.js';
import { isRefused } from '../../matrix/refusal.js';
import { type Cause, chatKey, type Records, roomKey } from '../records.js';
import { names, predecessorIn } from './tombstone.js';

export interface SuccessionDeps {
  homeserver: Pick<Homeserver, 'stateContent'>;
  records: Records;
  recorder: Pick<Recorder, 'bound'>;
  /** Notes durably that a chat's name and place are to be written. */
  owe: (room: string) => Promise<void>;
}

/** What of a room's record goes along into the room that takes its place. */
const KEPT = [
  'room_type',
  'chat_id',
  'display_name',
  'matrix_user_id',
  'space_id',
  'platform_chat_id',
  'agent_id',
  'answers',
  'direct',
  'threads',
  'loaded_context',
  'archived',
] as const;

/** What is remembered of rooms without a predecessor of ours at most; more is asked again. */
const MOST_ROOMS = 10_000;

/**
 * A room that was upgraded (Matrix spec, room upgrades): the new one goes on with the old one's context, number and
 * name. Both rooms must say so: the old one by its tombstone, which the homeserver takes from whoever may write it, the
 * new one by its create event. All follows from what stands, so that every replica writes the same; the person stays
 * the same, and with them the shard (PROTOCOL O5).
 */
export class Succession {
  private readonly without = new Set<string>();

  constructor(private readonly deps: SuccessionDeps) {}

  /** Before anything is judged of a room without a record: it may go on from another. */
  async look(room: string, cause: Cause, signal: AbortSignal): Promise<void> {
    const { records, owe } = this.deps;
    if (records.room(room) !== undefined || this.without.has(room)) return;
    const old = await this.predecessor(room, signal);
    if (old === undefined) {
      if (this.without.size >= MOST_ROOMS) this.without.clear();
      this.without.add(room);
      return;
    }
    signal.throwIfAborted();
    // Before, so that a kill forgets neither name nor place; and after, because a sweep may have come between.
    await owe(room);
    await records.write(this.moves(old, room, cause), cause);
    await owe(room);
  }

  private async predecessor(room: string, signal: AbortSignal): Promise<string | undefined> {
    const { homeserver } = this.deps;
    const old = predecessorIn(await homeserver.stateContent(room, 'm.room.create', '', signal));
    if (old === undefined || this.deps.records.room(old) === undefined) return undefined;
    try {
      const said = await homeserver.stateContent(old, 'm.room.tombstone', '', signal);
      return names(said, room) ? old : undefined;
    } catch (error) {
      // The bot is not in the old room any more: what that says cannot be known.
      if (isRefused(error)) return undefined;
      throw error;
    }
  }

  private moves(old: string, room: string, cause: Cause): Write[] {
    const { records, recorder } = this.deps;
    const known = records.room(old);
    const { platform_chat_id: platformChat, agent_id: agent, matrix_user_id: person } = known ?? {};
    const fields = Object.fromEntries(
      KEPT.flatMap((field) => {
        const value = known?.[field];
        return value === undefined || value === false ? [] : [[field, value]];
      }),
    );
    const writes: Write[] = [{ kind: 'room', key: roomKey(room), fields }];
    // What is written there is told so, and the space does not show it any more.
    if (known?.room_type === 'chat')
      writes.push({ kind: 'room', key: roomKey(old), fields: { archived: true } });
    for (const [key, chat] of records.state.entries('chat')) {
      if (person === undefined || chat['room_id'] !== old || !key.startsWith(chatKey(person, ''))) continue;
      writes.push({ kind: 'chat', key, fields: { room_id: room } });
    }
    if (platformChat !== undefined && agent !== undefined)
      writes.push(...recorder.bound(room, { platformChat, agent }, cause));
    return writes;
  }
}
