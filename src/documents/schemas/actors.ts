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
