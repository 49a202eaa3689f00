import { z } from 'zod';
import type { KindTable } from './table.js';

const time = z.int().nonnegative();

/** The one record of the cluster as a whole; its key is the word `cluster`. */
export const cluster = {
  document: 'cluster',
  map: 'meta',
  prefix: '',
  key: 'cluster',
  only: 'cluster',
  placement: 'cluster',
  fields: {
    genesis_ts: {
      schema: time,
      what: 'the instant before which history is not answered, milliseconds',
      writer: 'the replica that founds the cluster',
      merge: 'lowestNumberWins',
      why: 'two replicas that found it apart must both answer what either would have answered (C5)',
      kind: 'fact',
    },
    shards: {
      schema: z.int().min(1).max(4096),
      what: 'number of shards by which records are placed',
      writer: 'the replica that founds the cluster',
      merge: 'lowestNumberWins',
      why: 'one number for everyone, whoever founded',
      kind: 'fact',
    },
    shards_opened: {
      schema: z.int().min(1).max(4096),
      what: 'number of shards that may hold records; above `shards` only after two foundings apart',
      writer: 'the replica that founds the cluster',
      merge: 'highestNumberWins',
      why: 'records placed before two foundings met stay in sight',
      kind: 'fact',
    },
    format: {
      schema: z.string().min(1),
      what: 'format of transaction ids',
      writer: 'the replica that founds the cluster',
      merge: 'higherStampWins',
      why: 'enters every transaction id, so all replicas must read the same (D1)',
      kind: 'fact',
    },
    account: {
      schema: z.string().min(1),
      what: 'mxid of the one account this cluster serves',
      writer: 'the first replica that reaches the homeserver',
      merge: 'higherStampWins',
      why: 'one cluster serves one account',
      kind: 'fact',
    },
    device_id: {
      schema: z.string().min(1),
      what: 'the delivery device that all replicas send through',
      writer: 'the first replica that reaches the homeserver',
      merge: 'higherStampWins',
      why: 'the homeserver drops second copies per device (D6)',
      kind: 'fact',
    },
    judge: {
      schema: z.enum(['atomic', 'not_atomic', 'untested']),
      what: 'whether the homeserver keeps the first of two concurrent sends under one transaction id',
      writer: 'the replica that ran the test, at genesis or by `doctor`',
      merge: 'higherStampWins',
      why: 'the latest test counts (D9)',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/** A replica registered in the cluster; its key is the replica id. */
export const member = {
  document: 'cluster',
  map: 'members',
  prefix: 'member:',
  key: '<replica id>',
  placement: 'cluster',
  fields: {
    incarnation: {
      schema: z.string().min(1),
      what: 'random id of the last start of that replica',
      writer: 'that replica',
      merge: 'higherStampWins',
      why: 'one writer; the last start counts',
      kind: 'choice',
    },
    joined_at: {
      schema: time,
      what: 'when it first registered, milliseconds',
      writer: 'that replica',
      merge: 'lowestNumberWins',
      why: 'the first registration counts',
      kind: 'fact',
    },
    last_seen_at: {
      schema: time,
      what: 'a time at which it ran, renewed at most once a day, milliseconds',
      writer: 'that replica',
      merge: 'highestNumberWins',
      why: 'a replica away for 7 days stops being a member',
      kind: 'fact',
    },
    retired: {
      schema: z.boolean(),
      what: 'retired by the operator',
      writer: 'the operator, through any replica',
      merge: 'higherStampWins',
      why: 'the last decision counts',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;
