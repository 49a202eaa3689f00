import type { CountMalformed } from '../documents/errors.js';
import type { Json } from '../documents/json.js';
import { toPlain } from '../documents/plain.js';
import type { Kind, RecordOf } from '../documents/schemas/kinds.js';
import type { Records } from './records.js';

/** A field with where it comes from: when it was set (hybrid logical clock) and which event caused it. */
export interface Provenance {
  value: Json;
  stamp: number;
  cause: string;
}

/** Reading of records, of a live node or of a folder. Keys carry their prefix, as in `matrix_room:!abc:example.org`. */
export interface RecordView {
  /**
   * The record joined over all places and concurrent values; undefined when there is none. Fields of later
   * versions included; a cleared field, and a known one of the wrong form, is absent.
   *
   * @throws {DocumentError} `bad-key`.
   */
  read<K extends Kind>(kind: K, key: string): RecordOf<K> | undefined;
  /** Every field as it stands, cleared ones (null) included. */
  provenance(kind: Kind, key: string): Record<string, Provenance> | undefined;
  /** The keys of all records of a kind, each once, in no order. */
  keys(kind: Kind): Iterable<string>;
  /** All records of a kind, in no order. */
  entries<K extends Kind>(kind: K): Iterable<[string, RecordOf<K>]>;
}

export function recordView(records: Records, count: CountMalformed): RecordView {
  const read = <K extends Kind>(kind: K, key: string): RecordOf<K> | undefined => {
    const record = records.joined(kind, key);
    return record && toPlain(kind, record, count);
  };
  return {
    read,
    provenance(kind, key) {
      const record = records.joined(kind, key);
      return record && Object.fromEntries([...record].map(([field, entry]) => [field, { ...entry }]));
    },
    keys: (kind) => records.keys(kind),
    *entries(kind) {
      for (const key of records.keys(kind)) {
        const record = read(kind, key);
        if (record !== undefined) yield [key, record];
      }
    },
  };
}
