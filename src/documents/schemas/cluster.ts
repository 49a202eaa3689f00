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
      why: 'records placed before two foundings met stay in sight; nothing is cut then',
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
      writer: 'who founds (`untested`), then the replica of `doctor`',
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
    schema: {
      schema: z.int().min(1),
      what: 'the highest version of the data format that its software knows; 1 where it does not say',
      writer: 'that replica, at its start',
      merge: 'higherStampWins',
      why: 'one writer; the last start counts, also of older software',
      kind: 'fact',
    },
    retired: {
      schema: z.boolean(),
      what: 'retired by the operator',
      writer: 'nobody yet: no command sets it',
      merge: 'higherStampWins',
      why: 'the last decision counts',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/**
 * A cut: the beginning of generation n + 1 of a shard (PROTOCOL A6). The key says all that is in it but when and
 * by whom: its last part is a hash over parent, heads and bytes_hash.
 */
export const cut = {
  document: 'cluster',
  map: 'cuts',
  prefix: 'cut:',
  key: 'actors/<shard>/<n + 1>/<id>',
  placement: 'cluster',
  fields: {
    parent: {
      schema: z.string(),
      what: 'id of the cut that began generation n; empty for the first generation',
      writer: 'the replica that cuts',
      merge: 'lowestStampWins',
      why: 'part of the key, never changes',
      kind: 'fact',
    },
    heads: {
      schema: z.array(z.string().min(1)).min(1),
      what: 'heads of generation n, the cutter’s own and on its disk, that generation n + 1 was made from',
      writer: 'the replica that cuts',
      merge: 'lowestStampWins',
      why: 'part of the key, never changes',
      kind: 'fact',
    },
    bytes_hash: {
      schema: z.string().min(1),
      what: 'SHA-256 of the first change of generation n + 1 (its Automerge hash)',
      writer: 'the replica that cuts',
      merge: 'lowestStampWins',
      why: 'part of the key, never changes',
      kind: 'fact',
    },
    at: {
      schema: time,
      what: 'when it was cut, milliseconds; of two cuts of one generation the earlier counts',
      writer: 'the replica that cuts',
      merge: 'lowestNumberWins',
      why: 'two replicas may make the same cut; either time gave the same bytes',
      kind: 'fact',
    },
    settled_to: {
      schema: time,
      what: 'the last generation of the shard whose cut was settled when this one was made: the ids that bases took in up to it may be dropped',
      writer: 'the replica that cuts',
      merge: 'lowestNumberWins',
      why: 'two replicas may make the same cut; either number gave the same bytes',
      kind: 'fact',
    },
    replica: {
      schema: z.string().min(1),
      what: 'who cut',
      writer: 'the replica that cuts',
      merge: 'lowestStampWins',
      why: 'two replicas may make the same cut; the first counts',
      kind: 'fact',
    },
    settled_at: {
      schema: time,
      what: 'when every member was seen to have moved, milliseconds: from then on no other cut takes its place',
      writer: 'whoever sees it',
      merge: 'lowestNumberWins',
      why: 'settled is for ever',
      kind: 'fact',
    },
  },
  open: {
    schema: z.looseObject({ at: time, heads: z.array(z.string().min(1)).min(1) }),
    what: '`moved:<replica>`: when that replica had moved, milliseconds, and heads of generation n + 1, on its disk, in which all counted that it held of older ones',
    writer: 'that replica',
    merge: 'lowestStampWins',
    why: 'moved is for ever; ids are dropped only by who has all that these heads stand for',
    kind: 'fact',
  },
} as const satisfies KindTable;

/** A version of the data format (docs/decisions/0015), by what the operator said of it. */
export const migration = {
  document: 'cluster',
  map: 'meta',
  prefix: 'migration:',
  key: '<schema>',
  placement: 'cluster',
  fields: {
    held: {
      schema: z.boolean(),
      what: 'documents are not migrated to it by themselves',
      writer: 'the operator: true by `migrate rollback`, false by `migrate run`',
      merge: 'higherStampWins',
      why: 'the last decision counts',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/** A scaffold that was asked for once (REQUIREMENTS R5), by the hash of its token: the same token never runs twice. */
export const seed = {
  document: 'cluster',
  map: 'meta',
  prefix: 'seed:',
  key: '<hash of the token>',
  placement: 'cluster',
  fields: {
    names: {
      schema: z.array(z.string().min(1)),
      what: 'the agents and machines that were asked for',
      writer: 'the node that was told to seed',
      merge: 'lowestStampWins',
      why: 'whoever began first carries it out',
      kind: 'fact',
    },
    replica: {
      schema: z.string().min(1),
      what: 'the node that carries it out',
      writer: 'the node that was told to seed',
      merge: 'lowestStampWins',
      why: 'whoever began first carries it out',
      kind: 'fact',
    },
    begun_at: {
      schema: time,
      what: 'when it began, milliseconds',
      writer: 'the node that was told to seed',
      merge: 'lowestStampWins',
      why: 'set together with the node',
      kind: 'fact',
    },
    done_at: {
      schema: time,
      what: 'when it was complete, milliseconds',
      writer: 'the node that carried it out',
      merge: 'lowestNumberWins',
      why: 'done is for ever',
      kind: 'fact',
    },
  },
} as const satisfies KindTable;

/**
 * The relay that decides on claims from a term on (PROTOCOL K1). One record a change; of all of them the highest term
 * counts, and of two changes made apart under one term the higher relay id: whoever merges reads the same.
 */
export const authority = {
  document: 'cluster',
  map: 'meta',
  prefix: 'authority:',
  key: '<term>/<relay id>',
  placement: 'cluster',
  fields: {
    named_at: {
      schema: time,
      what: 'when it was named, milliseconds',
      writer: 'the replica through which the operator named it',
      merge: 'lowestStampWins',
      why: 'a fact of the one change that the key names',
      kind: 'fact',
    },
    replica: {
      schema: z.string().min(1),
      what: 'the replica through which it was named',
      writer: 'that replica',
      merge: 'lowestStampWins',
      why: 'set together with the time',
      kind: 'fact',
    },
  },
} as const satisfies KindTable;

/**
 * A place that was forgotten: a person, or a room that was theirs. Everything of it up to a stamp is gone, on every
 * replica (docs/decisions/0017). Its key is a hash that nobody can make who does not know the cluster's id.
 */
export const erasure = {
  document: 'cluster',
  map: 'meta',
  prefix: 'erasure:',
  key: '<hash of the place>',
  placement: 'cluster',
  fields: {
    to: {
      schema: time,
      what: 'stamp up to which everything of the place is forgotten',
      writer: 'the replica that is told to forget',
      merge: 'highestNumberWins',
      why: 'forgotten is for ever; what was forgotten later reaches further',
      kind: 'fact',
    },
    at: {
      schema: time,
      what: 'what the person said before this time is not answered any more, milliseconds',
      writer: 'the replica that is told to forget',
      merge: 'highestNumberWins',
      why: 'as with `to`',
      kind: 'fact',
    },
    of: {
      schema: z.string().min(1),
      what: 'of a room: hash of the person whose it was',
      writer: 'the replica that is told to forget, or one that finds another room of the person',
      merge: 'higherStampWins',
      why: 'says which rooms went with the person',
      kind: 'fact',
    },
  },
  open: {
    schema: time,
    what: '`chat:<platform chat>`: stamp up to which that context is to be deleted at the platform; `gone:<platform chat>`: up to which it was',
    writer: 'whoever finds the context; whoever had it deleted',
    merge: 'highestNumberWins',
    why: 'owed until deleted, and owed again when the person is forgotten again',
    kind: 'fact',
  },
} as const satisfies KindTable;
