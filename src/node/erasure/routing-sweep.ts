import { encodeChangeMessage } from '../../documents/change-message.js';
import { assertWritable, keysOf, readRecord } from '../../documents/document.js';
import { describeDocument } from '../../documents/ids.js';
import { kinds } from '../../documents/schemas/kinds.js';
import type { Write } from '../../documents/write.js';
import type { NodeInside } from '../inside.js';
import type { OpenDocument } from '../open-documents.js';
import type { DocumentSource } from '../records.js';
import { forgettable, forgetIn } from './clean-copy.js';
import type { ErasedPlaces, Forgotten } from './erased-places.js';
import { contextsOf } from './found.js';

type Inside = Pick<
  NodeInside,
  'parts' | 'documents' | 'records' | 'counters' | 'schemas' | 'fastPath' | 'epoch' | 'forgotten'
>;

/**
 * The record of a room that is forgotten with its person: which contexts are owed to the platform must be on disk
 * before the room's own record goes, or nobody would know of them any more.
 */
export function erasureOfRoom(
  places: ErasedPlaces,
  room: string,
  person: string,
  { to, at }: Forgotten,
  contexts: Iterable<string>,
): Write {
  return {
    kind: 'erasure',
    key: kinds.erasure.prefix + places.hashOf(room),
    fields: {
      to,
      at,
      of: places.hashOf(person),
      ...Object.fromEntries([...contexts].map((chat) => [`chat:${chat}`, to])),
    },
  };
}

/** Rooms that still stand with a person who was forgotten, as the erasures that are to stand of them. */
export function roomsToForget(inside: Inside): Write[] {
  const { documents, records, counters, forgotten: places } = inside;
  const count = counters.countMalformed;
  const source: DocumentSource = {
    document: (kind, index) => documents.named({ kind, index, generation: 0 })?.handle.doc(),
  };
  const writes: Write[] = [];
  for (const { handle } of routingDocuments(inside)) {
    for (const key of keysOf(handle.doc(), 'room', count)) {
      const owner = readRecord(handle.doc(), 'room', key, count)?.get('matrix_user_id');
      const forgotten = typeof owner?.value === 'string' ? places.of(owner.value) : undefined;
      if (owner === undefined || forgotten === undefined || owner.stamp > forgotten.to) continue;
      const room = key.slice(kinds.room.prefix.length);
      const contexts = contextsOf(room, forgotten.to, { records, source, count });
      writes.push(erasureOfRoom(places, room, owner.value as string, forgotten, contexts));
    }
  }
  return writes;
}

/**
 * Takes what is forgotten out of the routing documents. Their history keeps it: they have one generation for ever.
 * Resolves to the number of records, when that is on disk.
 */
export async function sweepRouting(inside: Inside, mayGo: (room: string) => boolean): Promise<number> {
  const { parts, documents, counters, schemas, fastPath, epoch, forgotten: places } = inside;
  const flushes: Promise<void>[] = [];
  let swept = 0;
  for (const document of routingDocuments(inside)) {
    const records = [
      ...forgettable(document.handle.doc(), 'routing', places, counters.countMalformed),
    ].filter(
      ({ kind, key, left }) =>
        kind !== 'room' || left !== undefined || mayGo(key.slice(kinds.room.prefix.length)),
    );
    if (records.length === 0) continue;
    for (const { kind } of records) {
      assertWritable(document.handle.doc(), kind, describeDocument(document.name), schemas.known);
    }
    const message = encodeChangeMessage({ cause: 'forgotten', replica: parts.self.replica, epoch });
    const touched = records.map(({ kind, key }) => ({ kind, key }));
    const bytes = documents.change(document, message, touched, (draft) => forgetIn(draft, records));
    fastPath.send(document, bytes);
    flushes.push(documents.saver.flush(document.id));
    swept += records.length;
  }
  await Promise.all(flushes);
  return swept;
}

function routingDocuments({ documents }: Pick<NodeInside, 'documents'>): OpenDocument[] {
  return [...documents.all()].filter(({ name }) => name.kind === 'routing');
}
