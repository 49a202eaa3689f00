import { z } from 'zod';
import type { KindTable } from './table.js';

const time = z.int().nonnegative();

/** An entry of a keyed store, in the document of its namespace and of the window of time that it was registered in. */
export const keyed = {
  document: 'keyed',
  map: 'entries',
  prefix: 'keyed:',
  key: '<namespace> <key>',
  placement: 'by-time',
  fields: {
    entry: {
      schema: z.object({
        /** How often the key had been consumed, deleted or over, as far as the writer knew, plus 1. */
        round: z.int().min(1),
        /** The time of the entry, milliseconds: it decides the window, and when the entry is over. */
        at: time,
        value: z.json(),
      }),
      what: 'round, time and value of the entry; gone once it was consumed or deleted',
      writer: 'the replica that registers it',
      merge: 'highestRoundWins',
      why: 'a registration made after the end of an entry counts before the entry itself',
      kind: 'choice',
    },
  },
  open: {
    schema: time,
    what: '`gone:<round>`: entries of this or a lower round are consumed or deleted if their time is not later than this; `taken:<round>:<replica>`: when that replica consumed it, milliseconds',
    writer: 'the replica that consumes or deletes it; whoever sees an entry of another window that it covers',
    merge: 'highestNumberWins',
    why: 'what is consumed stays consumed; two takers of one round show',
    kind: 'fact',
  },
} as const satisfies KindTable;
