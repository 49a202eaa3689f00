import type { PlatformClient } from '../../platform/client.js';
import type { Recorder } from '../actors/recorder.js';
import { type Cause, chatKey, type Records, roomKey, userKey } from '../records.js';
import type { Agents, Choice } from './agents.js';
import { onboardingSource } from './ledger.js';
import { stepKey } from './platform-key.js';
import type { Bound } from './binding.js';
import type { Branching } from './branching.js';
import type { DerivedState } from './derived.js';
import type { Rooms, Wanted } from './rooms.js';

export interface ChatsDeps {
  records: Records;
  recorder: Recorder;
  rooms: Rooms;
  platform: PlatformClient;
  agents: Agents;
  branching: Branching;
  derived: DerivedState;
}

/** A chat room of a person, with its own context. */
export interface MadeChat {
  room: string;
  chatId: string;
  name: string;
}

/**
 * Chat rooms in a person's space. Every step reads before it writes under (source, step), so that any replica can
 * take the list up at any boundary: room, ledger, context, records, then what follows from the record.
 */
export class Chats {
  constructor(private readonly deps: ChatsDeps) {}

  async make(
    cause: Cause,
    person: string,
    space: string,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<MadeChat | Extract<Choice, { gone: string }>> {
    const { records, recorder, rooms, derived } = this.deps;
    const choice = await this.choose(person, wanted, signal);
    if ('gone' in choice) return choice;
    const { room, number } = await rooms.decide(cause.id, person, space, wanted, signal);
    const chatId = `C${number}`;
    const name = wanted.name ?? `Chat ${chatId}`;
    if (records.room(room)?.platform_chat_id === undefined) {
      const bound = await this.context(person, wanted, name, cause, signal);
      if ('gone' in bound) return bound;
      const archived = await rooms.isArchived(room);
      signal.throwIfAborted();
      await records.write(
        [
          ...recorder.bound(room, bound, cause),
          {
            kind: 'room',
            key: roomKey(room),
            fields: {
              room_type: 'chat',
              chat_id: chatId,
              display_name: name,
              matrix_user_id: person,
              space_id: space,
              platform_chat_id: bound.platformChat,
              agent_id: bound.agent,
              ...(archived && { archived }),
            },
          },
          {
            kind: 'chat',
            key: chatKey(person, cause.id),
            fields: { chat_id: chatId, room_id: room, matrix_user_id: person, created_by: cause.id },
          },
          {
            kind: 'user',
            key: userKey(person),
            fields: { space_id: space, next_chat_index: this.nextIndex(person, number) },
          },
        ],
        cause,
      );
    }
    if (cause.id === onboardingSource(person)) {
      // By itself: a kill may have come after the room's records were durable.
      await records.write(recorder.onboarded(person, 'CHAT', room, cause), cause);
    }
    await derived.write(room, signal);
    await rooms.invite(person, [room, space]);
    return { room, chatId, name: records.room(room)?.display_name ?? name };
  }

  /** Before a room is made: whether there is an agent to talk to there. A branch keeps that of its room. */
  private choose(person: string, { from }: Wanted, signal: AbortSignal): Promise<Choice> {
    return this.deps.agents.choose(from, person, signal);
  }

  private async context(
    person: string,
    { from: room, thread }: Wanted,
    title: string,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<Bound | Extract<Choice, { gone: string }>> {
    const { agents, platform, branching } = this.deps;
    if (room !== undefined) return branching.branch({ room, thread }, person, cause, signal);
    const choice = await agents.choose(undefined, person, signal);
    if ('gone' in choice) return choice;
    const request = { agent: choice.agent.id, title };
    const chat = await platform.createChat(stepKey(cause.id, 'createChat'), request, signal);
    return { platformChat: chat.platform_chat_id, agent: chat.agent };
  }

  /** Derived from the ledger's numbers: one more than the highest known. */
  private nextIndex(person: string, number: number): number {
    return Math.max(number, this.deps.records.highestNumber(person)) + 1;
  }
}
