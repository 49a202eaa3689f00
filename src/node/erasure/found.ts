import * as A from '@automerge/automerge';
import { writtenRecords } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { highestStamp, type FieldMap } from '../../documents/record.js';
import { kinds, type Kind } from '../../documents/schemas/kinds.js';
import { MAX_STAMP, type Stamp } from '../../documents/stamp.js';
import type { DocumentSource, Records } from '../records.js';
import { placeIn } from './remains.js';

/** What stands of a person: names of records, and contexts at the platform. */
export interface Found {
  user: boolean;
  /** Room id to the name that it has. */
  rooms: Map<string, string | null>;
  chats: string[];
  /** Records of actors: events, bases, done marks. */
  actors: Map<string, number>;
  /** Every context that a room ever had, by room id. */
  contexts: Map<string, Set<string>>;
  /** The highest stamp of all that; 0 for nothing. */
  top: number;
}

export interface FindingContext {
  records: Records;
  source: DocumentSource;
  count: CountMalformed;
}

/** Looks through what shows now. */
export function findOf(person: string, { records, source, count }: FindingContext): Found {
  const found: Found = {
    user: false,
    rooms: new Map(),
    chats: [],
    actors: new Map(),
    contexts: new Map(),
    top: 0,
  };
  const note = (record: FieldMap): void => {
    found.top = Math.max(found.top, highestStamp(record) ?? 0);
  };
  const user = records.joined('user', kinds.user.prefix + person);
  if (user !== undefined) {
    found.user = true;
    note(user);
  }
  for (const key of records.keys('room')) {
    const room = records.joined('room', key);
    if (room?.get('matrix_user_id')?.value !== person) continue;
    const name = room.get('display_name')?.value;
    found.rooms.set(key.slice(kinds.room.prefix.length), typeof name === 'string' ? name : null);
    note(room);
  }
  for (const key of records.keys('chat')) {
    if (placeIn('chat', key) !== person) continue;
    found.chats.push(key);
    const chat = records.joined('chat', key);
    if (chat !== undefined) note(chat);
  }
  for (const kind of ['event', 'base', 'actor', 'done'] as const satisfies readonly Kind[]) {
    for (const key of records.keys(kind)) {
      const place = placeIn(kind, key);
      if (place === undefined || (place !== person && !found.rooms.has(place))) continue;
      const record = records.joined(kind, key);
      if (record === undefined) continue;
      found.actors.set(place, (found.actors.get(place) ?? 0) + 1);
      note(record);
    }
  }
  for (const room of found.rooms.keys()) {
    found.contexts.set(room, contextsOf(room, MAX_STAMP, { records, source, count }));
  }
  return found;
}

/**
 * Every context that a room's records named up to a stamp: `!agent` gives a room another one and leaves the old behind.
 * What was made since belongs to somebody who came back.
 */
export function contextsOf(room: string, to: Stamp, { records, source, count }: FindingContext): Set<string> {
  const key = kinds.room.prefix + room;
  const contexts = new Set<string>();
  for (const shard of records.rooms.shardsOf(key)) {
    const document = source.document('routing', shard);
    if (document === undefined) continue;
    for (const written of writtenRecords('routing', A.getAllChanges(document), count)) {
      if (written.kind !== 'room' || written.key !== key) continue;
      const chat = written.record.get('platform_chat_id');
      if (typeof chat?.value === 'string' && chat.value !== '' && chat.stamp <= to) contexts.add(chat.value);
    }
  }
  return contexts;
}
