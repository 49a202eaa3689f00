import type { z } from 'zod';
import type { DocumentKind } from '../ids.js';
import type { MergeRule } from '../merge/rules.js';

/** One field of the data format: what it may hold, who writes it, how concurrent writes merge, and why so. */
export interface FieldTable<T extends z.ZodType = z.ZodType> {
  schema: T;
  what: string;
  writer: string;
  merge: MergeRule;
  why: string;
  /**
   * `choice`: someone asked for this value, so setting the same value again for another cause is written: the
   * latest wish must win over a concurrent one. `fact`: setting the same value again writes nothing.
   */
  kind: 'fact' | 'choice';
}

/**
 * Where records of a kind live (PROTOCOL O5): in `cluster`; at the shard of the person who is the key or stands
 * first in it; at the place of the room's person; at the room that the key names first; at the person, room or
 * other thing that the actor's key names; or in the window of its time, which only a keyed store knows.
 */
export type Placement = 'cluster' | 'person' | 'room' | 'with-room' | 'with-actor' | 'by-time';

/** One kind of record. */
export interface KindTable {
  document: DocumentKind;
  map: string;
  /** Every key of the kind begins so, as in `matrix_room:!abc:example.org`. */
  prefix: string;
  /** What follows the prefix, for people. */
  key: string;
  /** The one key of a kind that has a single record. */
  only?: string;
  placement: Placement;
  fields: Readonly<Record<string, FieldTable>>;
  /** The rule of every field the table does not name; such kinds are keyed by open-ended names. */
  open?: FieldTable;
}

/** What a kind's table holds, as a type: every field optional, because any of them may not be known yet. */
export type FieldsOf<T extends KindTable> = {
  -readonly [F in keyof T['fields']]?: z.output<T['fields'][F]['schema']>;
} & (T extends { open: FieldTable<infer S> } ? Record<string, z.output<S>> : unknown);
