import * as A from '@automerge/automerge';
import type { DocumentName } from './ids.js';

/** Version of the data format that this software reads and writes. */
export const SCHEMA = 1;

/** The author of every first change, and of nothing else: `understudy-first` in ASCII. */
const FIRST_ACTOR = Buffer.from('understudy-first', 'ascii').toString('hex');

/** All maps of each family, in the order in which the first change makes them. None is ever made later (DESIGN §3). */
export const documentMaps = {
  cluster: ['meta', 'members', 'cuts'],
  routing: ['users', 'rooms', 'chats'],
  actors: ['actors', 'events', 'base', 'done', 'marks', 'attempts', 'floors', 'tasks'],
} as const satisfies Record<DocumentName['kind'], readonly string[]>;

/**
 * The first change of a document, the same bytes on every replica, so that two that create it apart have made
 * the same document. Pinned in a test: other bytes would hide one side's data.
 */
export function genesisBytes(name: DocumentName): Uint8Array {
  const empty = A.init<Record<string, unknown>>({ actor: FIRST_ACTOR });
  const first = A.change(empty, { time: 0, message: 'genesis' }, (document) => {
    document['schema'] = SCHEMA;
    document['kind'] = name.kind;
    if (name.kind !== 'cluster') document['index'] = name.index;
    document['generation'] = name.generation;
    for (const map of documentMaps[name.kind]) document[map] = {};
  });
  const change = A.getLastLocalChange(first);
  if (change === undefined) throw new Error('Automerge made no first change');
  A.free(first);
  return change;
}
