import { type PlatformClient, PlatformError } from '../../platform/client.js';
import type { Homeserver } from '../../matrix/homeserver.js';
import { meaningOf } from '../intake.js';
import type { Write } from '../../documents/write.js';
import type { Recorder } from '../actors/recorder.js';
import { type Cause, type Records, roomKey, userKey } from '../records.js';
import type { Agents, Choice } from './agents.js';
import { replacementKey, roomKey as platformRoomKey, threadKey } from './platform-key.js';
import type { MadeRoom, Rooms } from './rooms.js';
import type { Place } from './threads.js';

export interface BindingDeps {
  homeserver: Homeserver;
  records: Records;
  recorder: Recorder;
  rooms: Rooms;
  platform: PlatformClient;
  agents: Agents;
  clusterId: string;
  self: string;
  /** What the record says of who is answered there. */
  addressed: (room: string) => { answers?: 'always'; direct?: true };
  /** Finishes a room that a source made: its records come from that source's steps alone (PROTOCOL P3). */
  finish: (made: MadeRoom, signal: AbortSignal) => Promise<void>;
}

export interface Bound {
  platformChat: string;
  agent: string;
}

/** Gives every room its own platform context, on first use, one however many replicas do it (REQUIREMENTS R2). */
export class Binding {
  constructor(private readonly deps: BindingDeps) {}

  async bind(
    room: string,
    person: string,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<Bound | Extract<Choice, { gone: string }>> {
    const { records, recorder, agents, platform, clusterId } = this.deps;
    await this.finishIfMade(room, signal);
    const choice = await agents.choose(room, person, signal);
    if ('gone' in choice) return choice;
    const known = records.room(room);
    if (known?.platform_chat_id !== undefined) {
      return { platformChat: known.platform_chat_id, agent: choice.agent.id };
    }
    const chat = await platform.createChat(
      platformRoomKey(clusterId, room),
      { agent: choice.agent.id },
      signal,
    );
    signal.throwIfAborted();
    const bound = { platformChat: chat.platform_chat_id, agent: chat.agent };
    await records.write([this.binds(room, person, bound), ...recorder.bound(room, bound, cause)], cause);
    return bound;
  }

  /**
   * The context of a thread, or with none the room's own. A thread's is made on first use, and named by the room's own and
   * the root: whoever asks, and however often, gets the same one, so that no document says which it is
   * (docs/decisions/0028). It ends with the room's.
   */
  async enter(own: Bound, thread: string | undefined, signal: AbortSignal): Promise<Bound> {
    if (thread === undefined) return own;
    const { platform, clusterId } = this.deps;
    const request = { agent: own.agent, part_of: own.platformChat };
    const chat = await platform.createChat(threadKey(clusterId, own.platformChat, thread), request, signal);
    return { platformChat: chat.platform_chat_id, agent: chat.agent };
  }

  /** The room talks to this agent from now on, in a fresh context, and the person's next rooms do too. */
  async rebind(room: string, person: string, to: Bound, cause: Cause): Promise<void> {
    const { records, recorder } = this.deps;
    const selected = { kind: 'user', key: userKey(person), fields: { selected_agent_id: to.agent } } as const;
    // Done before: in another room the person may have chosen again since (PROTOCOL P3).
    const isDone = records.standing(room, 'platform_chat_id')?.cause === cause.id;
    const bound = [this.binds(room, person, to), ...recorder.bound(room, to, cause)];
    const writes = isDone ? bound : [selected, ...bound];
    await records.write(writes, cause);
  }

  /**
   * The platform knows the room's context no more, as after the loss of its database: asked by the same key it makes
   * the same one again, empty. A context that came from another key (`!new`, `!agent`) is replaced by a new one, the
   * same one whoever asks, and however often.
   */
  async regain(room: string, person: string, lost: Bound, cause: Cause, signal: AbortSignal): Promise<Bound> {
    const { platform, clusterId } = this.deps;
    const request = { agent: lost.agent };
    const chat = await platform.createChat(platformRoomKey(clusterId, room), request, signal);
    if (chat.platform_chat_id === lost.platformChat) return lost;
    const other = await platform.createChat(replacementKey(clusterId, lost.platformChat), request, signal);
    signal.throwIfAborted();
    const bound = { platformChat: other.platform_chat_id, agent: other.agent };
    const { records, recorder } = this.deps;
    await records.write([this.binds(room, person, bound), ...recorder.bound(room, bound, cause)], cause);
    return bound;
  }

  /** Calls the platform with a place's context, made if there is none, and once more where it was lost. */
  async within<T>(
    { room, thread }: Place,
    person: string,
    cause: Cause,
    signal: AbortSignal,
    call: (bound: Bound) => Promise<T>,
  ): Promise<{ result: T } | Extract<Choice, { gone: string }>> {
    const bound = await this.bind(room, person, cause, signal);
    if ('gone' in bound) return bound;
    const use = async (own: Bound) => ({ result: await call(await this.enter(own, thread, signal)) });
    try {
      return await use(bound);
    } catch (error) {
      if (!(error instanceof PlatformError) || error.reason !== 'no-such-chat') throw error;
      return use(await this.regain(room, person, bound, cause, signal));
    }
  }

  private binds(room: string, person: string, to: Bound): Write {
    const known = this.deps.records.room(room);
    // What was loaded into another context is not in this one.
    const isOther = known?.loaded_context !== undefined && known.platform_chat_id !== to.platformChat;
    return {
      kind: 'room',
      key: roomKey(room),
      fields: {
        room_type: known?.room_type ?? 'invited',
        matrix_user_id: known?.matrix_user_id ?? person,
        platform_chat_id: to.platformChat,
        agent_id: to.agent,
        ...this.deps.addressed(room),
        ...(isOther && { loaded_context: null }),
      },
    };
  }

  /**
   * A room that a source made is mapped by that source's own steps, before anything is judged or written of it. Resolves
   * to what its create event says where there was no record yet, and there may be none still: no agent may be there.
   */
  async finishIfMade(room: string, signal: AbortSignal): Promise<MadeRoom | undefined> {
    if (this.deps.records.room(room) !== undefined) return undefined;
    const made = await this.madeFor(room, signal);
    if (made !== undefined) await this.deps.finish(made, signal);
    return made;
  }

  private async madeFor(room: string, signal: AbortSignal): Promise<MadeRoom | undefined> {
    const known = this.deps.rooms.madeFor(room);
    if (known !== undefined) return known;
    const create = await this.deps.homeserver.stateEvent(room, 'm.room.create', '', signal);
    const meaning = create && meaningOf(room, create, this.deps.self);
    if (meaning?.is !== 'made') return undefined;
    this.deps.rooms.noteMade(meaning);
    return meaning;
  }
}
