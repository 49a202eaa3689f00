import type { LookedAtRecord } from '../../../src/telemetry/look.js';
import type { Cluster, Replica } from '../../world/cluster.js';
import { records } from '../../world/inside.js';
import type { TimelineEvent } from '../../world/matrix-http.js';
import { seenMessages } from '../../world/seen.js';
import type { Performer } from './performer.js';

/** What stands in rooms, space, documents and at the platform that a command may change; each under a name of its own. */
export type Standing = ReadonlyMap<string, string>;

/** Whose standing is looked at. */
export interface Place {
  performer: Performer;
  room: string;
  /** Rooms of the bot when the command was said. */
  rooms: ReadonlySet<string>;
}

const MADE_FOR = 'dev.understudy.made_for';

/** Rooms that the bot is in and was not in before, made for that person. */
export async function roomsMade(world: Cluster, { performer, rooms }: Place): Promise<string[]> {
  const made: string[] = [];
  for (const room of await world.bot.joinedRooms()) {
    if (rooms.has(room)) continue;
    const created = (await world.bot.state(room)).find(({ type }) => type === 'm.room.create');
    const { person } = (created?.content[MADE_FOR] ?? {}) as { person?: string };
    if (person === performer.person.userId) made.push(room);
  }
  return made;
}

/** What stands now, by the documents of `replica`. */
export async function look(world: Cluster, replica: Replica, place: Place): Promise<Standing> {
  const found = new Map<string, string>();
  const note = (name: string, value: unknown) => found.set(name, JSON.stringify(value));
  const { performer, room } = place;
  const person = performer.person.userId;
  const rooms = [room, ...(await roomsMade(world, place))];
  for (const each of rooms) {
    const [state, history] = await Promise.all([world.bot.state(each), world.bot.history(each)]);
    for (const [name, value] of shownOf(state)) note(`room ${each} ${name}`, value);
    for (const { eventId, sender, body, inReplyTo } of seenMessages(history))
      if (sender === world.bot.userId) note(`said ${each} ${eventId}`, { body, inReplyTo });
  }
  for (const { type, state_key, content } of await world.bot.state(performer.space))
    if (type === 'm.space.child')
      note(`child ${state_key}`, { in: content['via'] !== undefined, order: content['order'] });
  const own = [`matrix_user:${person}`, `chat:${person}/`];
  const of = (each: string) => [
    `matrix_room:${each}`,
    `mark:${each} `,
    `floor:${each}`,
    `event:conversation/${each} `,
  ];
  for (const prefix of [...own, ...rooms.flatMap((each) => of(each))])
    for (const record of await records(replica, prefix)) noteRecord(record, note);
  for (const chat of contextsIn(found))
    for (const name of await savedNames(replica, chat)) note(`saved ${chat} ${name}`, true);
  return found;
}

/** Times say nothing of what stands. */
const TIMES = new Set(['settled_at', 'origin_server_ts', 'done_at']);

/** What a conversation hears of an answer's course, which differs with who carried it; not that it was taken up, or bound. */
const COURSE = /^event:.*\/(?:replying|settled)$/;

function noteRecord({ key, fields }: LookedAtRecord, note: (name: string, value: unknown) => void): void {
  if (COURSE.test(key)) return;
  for (const [field, { value, cause }] of Object.entries(fields)) {
    if (TIMES.has(field)) continue;
    const { type, data } = (field === 'event' ? value : {}) as { type?: string; data?: unknown };
    note(`record ${key} ${field}`, type === undefined ? { value, cause } : { type, data });
  }
}

function* shownOf(state: readonly TimelineEvent[]): Generator<[string, unknown]> {
  for (const { type, state_key, content } of state) {
    if (type === 'm.room.member') yield [`member ${state_key}`, content['membership']];
    if (type === 'm.room.name') yield ['name', content['name']];
    if (type === 'm.room.topic') yield ['topic', content['topic']];
    if (type === 'dev.understudy.archived') yield ['archived', content['source']];
    if (type === 'm.room.create') yield ['made for', content[MADE_FOR]];
  }
}

/** The platform's contexts that records name. */
export const contextsIn = (standing: Standing): Set<string> =>
  new Set(
    [...standing]
      .filter(([name]) => name.endsWith(' platform_chat_id'))
      .map(([, value]) => (JSON.parse(value) as { value: string }).value),
  );

async function savedNames({ platformProxy }: Replica, chat: string): Promise<string[]> {
  const url = `${platformProxy.target}/v1/chats/${chat}/contexts`;
  const headers = { connection: 'close' };
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(60_000) });
  const { contexts } = (await answer.json()) as { contexts: { name: string }[] };
  return contexts.map(({ name }) => name);
}
