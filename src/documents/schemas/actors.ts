import { z } from 'zod';
import type { KindTable } from './table.js';

const id = z.string().min(1);
const time = z.int().nonnegative();

/** A settled source (PROTOCOL C1). */
export const mark = {
  document: 'actors',
  map: 'marks',
  prefix: 'mark:',
  key: '<room id> <event id>',
  placement: 'with-room',
  fields: {
    reason: {
      schema: id,
      what: 'why nothing more is owed to this source',
      writer: 'whoever saw it settled',
      merge: 'neverCleared',
      why: 'settled is for ever',
      kind: 'fact',
    },
    final_event_id: {
      schema: id,
      what: 'the event that ended it, if one did',
      writer: 'whoever saw it settled',
      merge: 'neverCleared',
      why: 'settled is for ever',
      kind: 'fact',
    },
    settled_at: {
      schema: time,
      what: 'when it was first seen settled, milliseconds',
      writer: 'whoever saw it settled',
      merge: 'lowestNumberWins',
      why: 'the first sight counts',
      kind: 'fact',
    },
  },
} as const satisfies KindTable;

/** The runs begun for a source (PROTOCOL C2): one field per attempt, named by the attempt’s id. */
export const attempt = {
  document: 'actors',
  map: 'attempts',
  prefix: 'attempt:',
  key: '<room id> <event id>',
  placement: 'with-room',
  fields: {},
  open: {
    schema: z.enum(['begun', 'outage', 'done', 'failed']),
    what: 'outcome of the attempt that the field is named by',
    writer: 'the replica that began the attempt',
    merge: 'higherStampWins',
    why: 'one writer per attempt; its later word counts',
    kind: 'fact',
  },
} as const satisfies KindTable;

/** Everything in the room before this event is settled and absorbed (PROTOCOL C4). */
export const floor = {
  document: 'actors',
  map: 'floors',
  prefix: 'floor:',
  key: '<room id>',
  placement: 'with-room',
  fields: {
    event_id: {
      schema: id,
      what: 'the first event that is not below the floor',
      writer: 'owner of the room',
      merge: 'higherStampWins',
      why: 'both fields are always set together, so they merge together',
      kind: 'choice',
    },
    origin_server_ts: {
      schema: time,
      what: 'time of that event, milliseconds',
      writer: 'owner of the room',
      merge: 'higherStampWins',
      why: 'both fields are always set together, so they merge together',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/**
 * One event of an actor (PROTOCOL A1, A2), keyed by what caused it. One field, so that of two writes of the same
 * event one is taken whole.
 */
export const event = {
  document: 'actors',
  map: 'events',
  prefix: 'event:',
  key: '<actor key> <event id>',
  placement: 'with-actor',
  fields: {
    event: {
      schema: z.object({
        type: id,
        /** When it happened, milliseconds: what guards and assignments know of time. */
        ts: time,
        /** The declared fields, at most 1 KB, never message text. */
        data: z.record(z.string(), z.json()).optional(),
        /** Applied again from an earlier generation, which was cut without it (A6). */
        late: z.literal(true).optional(),
      }),
      what: 'type, time and declared fields of the event; its stamp gives its place in the fold',
      writer: 'whoever takes the event up',
      merge: 'lowestStampWins',
      why: 'the same event written twice counts once, at its first place (A2)',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/** What an actor’s events come to, for readers and tools; the fold decides where they differ (PROTOCOL A1). */
export const actor = {
  document: 'actors',
  map: 'actors',
  prefix: 'actor:',
  key: '<machine id>/<place>[/<rest>]',
  placement: 'with-actor',
  fields: {
    current_state: {
      schema: z.looseObject({
        version: z.int().min(1),
        /** Hash of the machine’s definition. */
        hash: id,
        value: z.json(),
        context: z.json(),
        status: id,
      }),
      what: 'machine version, definition hash, state value, context and status after the last event written',
      writer: 'whoever writes an event of the actor, in the same change',
      merge: 'higherStampWins',
      why: 'for readers; after a merge the fold decides (A1)',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/** An effect that was carried out (PROTOCOL A1). */
export const done = {
  document: 'actors',
  map: 'done',
  prefix: 'done:',
  key: '<actor key> <effect id>',
  placement: 'with-actor',
  fields: {
    done_at: {
      schema: time,
      what: 'when the effect was carried out, milliseconds',
      writer: 'whoever carried it out',
      merge: 'lowestNumberWins',
      why: 'carried out stays carried out; the first time counts',
      kind: 'fact',
    },
  },
} as const satisfies KindTable;

/** Where an actor stood when its generation began (PROTOCOL A6): in the first bytes of a generation, and there alone. */
export const base = {
  document: 'actors',
  map: 'base',
  prefix: 'base:',
  key: '<actor key>',
  placement: 'with-actor',
  fields: {
    base: {
      schema: z.looseObject({ version: z.int().min(1), hash: id, stamp: time }),
      what: 'state, context, effects and timers not done, ids absorbed (with the generation, until its cut is settled) and the highest stamp of those that were dropped: all that earlier generations came to; for a week after the actor left, its highest stamp alone',
      writer: 'the cut that began the generation',
      merge: 'higherStampWins',
      why: 'a generation has one; after two foundings apart the later fold counts',
      kind: 'fact',
    },
  },
} as const satisfies KindTable;
