import * as A from '@automerge/automerge';
import type { DocumentName } from './ids.js';
import { encodeRecord, type FieldMap } from './record.js';
import { FIRST_SCHEMA } from './schema.js';

/** The author of every first change, and of nothing else: `understudy-first` in ASCII. */
const FIRST_ACTOR = Buffer.from('understudy-first', 'ascii').toString('hex');

/** All maps of each family, in the order in which the first change makes them. None is ever made later (DESIGN §3). */
export const documentMaps = {
  cluster: ['meta', 'members', 'cuts'],
  routing: ['users', 'rooms', 'chats'],
  actors: ['actors', 'events', 'base', 'done', 'marks', 'attempts', 'floors', 'tasks'],
  /** Not made from these bytes: see audit-document.ts. */
  audit: [],
  keyed: ['entries'],
} as const satisfies Record<DocumentName['kind'], readonly string[]>;

/** A record that stands in a document's first change: carried over by the cut that began its generation. */
export interface CarriedRecord {
  map: string;
  key: string;
  record: FieldMap;
}

/** What a cut carries over of the document itself: its schema, and what a later version has set beside the maps. */
export interface CarriedRoot {
  schema?: number;
  members?: readonly (readonly [string, string | number | boolean | null])[];
}

/**
 * The first change of a document, the same bytes on every replica, so that two that create it apart have made
 * the same document. Pinned in a test: other bytes would hide one side's data. Carried records come behind the
 * maps, which so have the same object ids in every generation, and in the order of map and key.
 */
export function genesisBytes(
  name: DocumentName,
  carried: readonly CarriedRecord[] = [],
  { schema = FIRST_SCHEMA, members = [] }: CarriedRoot = {},
): Uint8Array {
  const empty = A.init<Record<string, unknown>>({ actor: FIRST_ACTOR });
  const first = A.change(empty, { time: 0, message: 'genesis' }, (document) => {
    document['schema'] = schema;
    document['kind'] = name.kind;
    if (name.kind !== 'cluster') document['index'] = name.index;
    document['generation'] = name.generation;
    const maps: readonly string[] = documentMaps[name.kind];
    for (const map of maps) document[map] = {};
    const inOrder = [...carried].sort(
      (a, b) => maps.indexOf(a.map) - maps.indexOf(b.map) || (a.key < b.key ? -1 : 1),
    );
    for (const { map, key, record } of inOrder) {
      (document[map] as Record<string, unknown>)[key] = new A.ImmutableString(encodeRecord(record));
    }
    for (const [key, value] of [...members].sort(([a], [b]) => (a < b ? -1 : 1))) document[key] = value;
  });
  const change = A.getLastLocalChange(first);
  if (change === undefined) throw new Error('Automerge made no first change');
  A.free(first);
  return change;
}
