import type { LiveActors } from '../actors/live-actors.js';
import type { Kind } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import type { NodeErasure } from '../node/erasure/node-erasure.js';
import type { SettleReason, SourceRef } from './source.js';

export type { Cause } from '../documents/write.js';

/** A plain record as the node shows it: field names as in the documents, unknown fields included. */
export type Plain = Readonly<Record<string, unknown>>;

/** The kinds of records that the bot reads by itself. */
export type RecordKind = 'user' | 'room' | 'chat' | 'mark' | 'attempt' | 'floor' | 'cluster' | 'member';

/** What the bot needs of a node's actors. */
export type BotActors = Pick<
  LiveActors,
  'register' | 'writes' | 'change' | 'exists' | 'snapshot' | 'keys' | 'newer' | 'quarantined' | 'pending'
>;

/** The part of a node that the bot stands on; `openNode()` gives it, schedule tests give one in memory. */
export interface State {
  read(kind: RecordKind, key: string): Plain | undefined;
  /** Every field as it stands, with its stamp and what caused it. */
  provenance(kind: RecordKind, key: string): Readonly<Record<string, Standing>> | undefined;
  entries(kind: RecordKind): Iterable<[string, Plain]>;
  /** Travels in the message of every change. */
  epoch?: number;
  /** Visible to reads at once; resolves when it is durable on this replica's disk. */
  change(writes: readonly Write[], cause: Cause): Promise<void>;
  readonly actors: BotActors;
  /** Ms until this replica may carry out what an actor has owed since then (monotonic); the bot says it. */
  actorTurn: (actor: string, since: number) => number;
  /** The same for a shard that is to be cut. */
  cutTurn?: (shard: number, since: number) => number;
  /** Shard whose owner carries out what an actor owes. */
  turnShardOf(actor: string): number;
  /** Shard whose owner answers in a room: of its person, else of the room, else (no record yet, or no room) of `sender`. */
  shardOf(room: string | undefined, sender: string): number;
  onChange(handle: (changed: { kind: Kind; key: string }) => void): () => void;
  /** Who was forgotten; a state that forgets nobody has none. */
  readonly erasure?: Pick<NodeErasure, 'forgottenAt' | 'owedContexts' | 'contextGone'>;
}

export const userKey = (mxid: string) => `matrix_user:${mxid}`;
export const roomKey = (room: string) => `matrix_room:${room}`;
export const chatKey = (mxid: string, source: string) => `chat:${mxid}/${source}`;
const markKey = (source: SourceRef) => `mark:${source.room} ${source.id}`;
const attemptKey = (source: SourceRef) => `attempt:${source.room} ${source.id}`;

/** A member refreshes its record once a day; one away for so long is retired until it is back. */
const RETIRED_AFTER_MS = 7 * 24 * 3_600_000;

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** Of a chat's number as people see it, such as C3. */
const numberOf = (value: unknown): number | undefined => {
  const known = /^C(\d{1,9})$/.exec(text(value) ?? '');
  return known === null ? undefined : Number(known[1]);
};

export interface UserRecord {
  space_id: string | undefined;
  selected_agent_id: string | undefined;
}

export interface RoomRecord {
  room_type: string | undefined;
  chat_id: string | undefined;
  display_name: string | undefined;
  matrix_user_id: string | undefined;
  space_id: string | undefined;
  platform_chat_id: string | undefined;
  agent_id: string | undefined;
  answers: 'always' | 'mentioned' | undefined;
  direct: boolean;
  threads: 'own' | 'shared' | undefined;
  loaded_context: string | undefined;
  archived: boolean;
}

/** A field's value with the write that it stands by. */
export interface Standing {
  value: unknown;
  stamp: number;
  cause: string;
}

/** A chat of a person, as `!chats` shows it. */
export interface ChatRecord {
  chatId: string;
  room: string;
  name: string;
  archived: boolean;
}

/** Typed reading and writing of the records that the bot uses. Values come from peers: a field of a wrong type
 * reads as absent. */
export class Records {
  constructor(readonly state: State) {}

  user(mxid: string): UserRecord | undefined {
    const found = this.state.read('user', userKey(mxid));
    if (found === undefined) return undefined;
    return { space_id: text(found['space_id']), selected_agent_id: text(found['selected_agent_id']) };
  }

  room(room: string): RoomRecord | undefined {
    const found = this.state.read('room', roomKey(room));
    if (found === undefined) return undefined;
    return {
      room_type: text(found['room_type']),
      chat_id: text(found['chat_id']),
      display_name: text(found['display_name']),
      matrix_user_id: text(found['matrix_user_id']),
      space_id: text(found['space_id']),
      platform_chat_id: text(found['platform_chat_id']),
      agent_id: text(found['agent_id']),
      answers:
        found['answers'] === 'always' || found['answers'] === 'mentioned' ? found['answers'] : undefined,
      direct: found['direct'] === true,
      threads: found['threads'] === 'own' || found['threads'] === 'shared' ? found['threads'] : undefined,
      loaded_context: text(found['loaded_context']),
      archived: found['archived'] === true,
    };
  }

  /** Undefined where the field is not set. */
  standing(room: string, field: string): Standing | undefined {
    const found = this.state.provenance('room', roomKey(room))?.[field];
    return found?.value === null ? undefined : found;
  }

  /** The person's chats in the order of their numbers. */
  chatsOf(mxid: string): ChatRecord[] {
    const chats: ChatRecord[] = [];
    for (const [key, chat] of this.state.entries('chat')) {
      const [chatId, room] = [text(chat['chat_id']), text(chat['room_id'])];
      if (!key.startsWith(chatKey(mxid, '')) || chatId === undefined || room === undefined) continue;
      const record = this.room(room);
      chats.push({ chatId, room, name: record?.display_name ?? chatId, archived: record?.archived === true });
    }
    return chats.sort((a, b) => Number(a.chatId.slice(1)) - Number(b.chatId.slice(1)));
  }

  /** The chat that a source made, and its number, where both are known. */
  chatOf(mxid: string, source: string): { room: string; number: number } | undefined {
    const found = this.state.read('chat', chatKey(mxid, source));
    const [room, number] = [text(found?.['room_id']), numberOf(found?.['chat_id'])];
    return room === undefined || number === undefined ? undefined : { room, number };
  }

  /** The sources that made the person's chats. */
  *chatSources(mxid: string): Iterable<string> {
    const prefix = chatKey(mxid, '');
    for (const [key] of this.state.entries('chat'))
      if (key.startsWith(prefix)) yield key.slice(prefix.length);
  }

  /** The highest number that a chat of the person is known to have. */
  highestNumber(mxid: string): number {
    const numbers = [...this.chatSources(mxid)].map((source) => this.chatOf(mxid, source)?.number ?? 1);
    const next = this.state.read('user', userKey(mxid))?.['next_chat_index'];
    return Math.max(1, ...numbers, typeof next === 'number' ? next - 1 : 1);
  }

  chatRoom(mxid: string, source: string): string | undefined {
    return text(this.state.read('chat', chatKey(mxid, source))?.['room_id']);
  }

  /** Records, and what actors learn with them, in one change. */
  write(writes: readonly Write[], cause: Cause): Promise<void> {
    return this.state.actors.change(writes, cause);
  }

  /** The settled mark of a source, if it stands in this replica's documents. */
  marked(source: SourceRef): boolean {
    return this.state.read('mark', markKey(source)) !== undefined;
  }

  /** For what reason it was settled, if its mark stands here. */
  markReason(source: SourceRef): string | undefined {
    return text(this.state.read('mark', markKey(source))?.['reason']);
  }

  /**
   * It was said before its person was forgotten: for that person, what genesis is for all (PROTOCOL C5). Nothing more
   * is owed to it, and nothing is written of it.
   */
  forgotten({ id, kind, sender, ts }: SourceRef): boolean {
    const person = kind === 'greeting' ? id.slice('onboarding:'.length) : sender;
    const at = this.state.erasure?.forgottenAt(person);
    return at !== undefined && ts <= at;
  }

  /**
   * Settled, in one change: the mark, this replica's attempt ended, and, where everything before it in its room is
   * settled too, the room's floor (PROTOCOL C1, C2, C4).
   */
  settle(
    source: SourceRef,
    how: {
      reason: SettleReason;
      event: string | undefined;
      at: number;
      floor: boolean;
      attempt: string | undefined;
      /** What its actors learn; the conversation's event for this source must stand before the mark (C4). */
      events: readonly Write[];
    },
  ): Promise<void> {
    const writes: Write[] = [
      ...how.events,
      {
        kind: 'mark',
        key: markKey(source),
        fields: {
          reason: how.reason,
          settled_at: how.at,
          ...(how.event !== undefined && { final_event_id: how.event }),
        },
      },
    ];
    if (how.attempt !== undefined) {
      writes.push({ kind: 'attempt', key: attemptKey(source), fields: { [how.attempt]: 'done' } });
    }
    if (how.floor) {
      writes.push({
        kind: 'floor',
        key: `floor:${source.room}`,
        fields: { event_id: source.id, origin_server_ts: source.ts },
      });
    }
    return this.write(writes, { id: source.id, ts: source.ts });
  }

  floor(room: string): string | undefined {
    return text(this.state.read('floor', `floor:${room}`)?.['event_id']);
  }

  /** Attempt id to outcome. */
  attempts(source: SourceRef): Map<string, string> {
    const found = this.state.read('attempt', attemptKey(source)) ?? {};
    return new Map(
      Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  }

  attempt(
    source: SourceRef,
    attempt: string,
    outcome: 'begun' | 'outage' | 'failed',
    events: readonly Write[],
  ): Promise<void> {
    const write: Write = { kind: 'attempt', key: attemptKey(source), fields: { [attempt]: outcome } };
    return this.write([...events, write], { id: source.id, ts: source.ts });
  }

  /** History before this instant (ms) is not answered (PROTOCOL C5). */
  genesis(): number | undefined {
    const found = this.state.read('cluster', 'cluster')?.['genesis_ts'];
    return typeof found === 'number' ? found : undefined;
  }

  /** Registered replicas that are not retired, by the operator or by seven days away (PROTOCOL, Words). */
  members(now: number): string[] {
    const members: string[] = [];
    for (const [key, member] of this.state.entries('member')) {
      const seen = member['last_seen_at'];
      const away = typeof seen === 'number' && now - seen > RETIRED_AFTER_MS;
      if (member['retired'] !== true && !away) members.push(key.replace(/^member:/, ''));
    }
    return members;
  }
}
