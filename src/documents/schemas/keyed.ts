import { z } from 'zod';
import type { KindTable } from './table.js';

const time = z.int().nonnegative();

/**
 * One round of a key of a keyed store (docs/decisions/0011), in the document of its namespace and of a window of
 * time. The round is how often the key had been consumed, deleted or over, as far as the writer knew, plus 1.
 */
export const keyed = {
  document: 'keyed',
  map: 'entries',
  prefix: 'keyed:',
  key: '<namespace> <round> <key>',
  placement: 'by-time',
  fields: {
    entry: {
      schema: z.object({
        /** The time of the entry, milliseconds: it decides the window, and when the entry is over. */
        at: time,
        value: z.json(),
      }),
      what: 'time and value of the entry; taken away when it is consumed or deleted',
      writer: 'the replica that registers it',
      merge: 'higherStampWins',
      why: 'the latest registration counts',
      kind: 'choice',
    },
    gone: {
      schema: time,
      what: 'entries of this key, of this round or a lower one, are consumed or deleted if their time is not later than this, milliseconds',
      writer: 'the replica that consumes or deletes it',
      merge: 'highestNumberWins',
      why: 'what is consumed stays consumed',
      kind: 'fact',
    },
  },
  open: {
    schema: time,
    what: '`taken:<replica>`: when that replica consumed it, milliseconds',
    writer: 'that replica',
    merge: 'highestNumberWins',
    why: 'two that took one entry while apart both show',
    kind: 'fact',
  },
} as const satisfies KindTable;
