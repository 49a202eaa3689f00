import { z } from 'zod';
import type { KindTable } from './table.js';

const id = z.string().min(1);

/** A person the bot talks to; its key is the mxid. */
export const user = {
  document: 'routing',
  map: 'users',
  prefix: 'matrix_user:',
  key: '<mxid>',
  placement: 'person',
  fields: {
    space_id: {
      schema: id,
      what: 'room id of the person’s space',
      writer: 'owner of the person, at onboarding, and when the space before was lost',
      merge: 'higherStampWins',
      why: 'the newest that stands is found by its alias, so two writers find the same (P4)',
      kind: 'fact',
    },
    next_chat_index: {
      schema: z.int().min(1),
      what: 'number of the next chat, derived from the ledger',
      writer: 'owner of the person, after a chat was numbered',
      merge: 'highestNumberWins',
      why: 'no number is ever given again (P3)',
      kind: 'fact',
    },
    selected_agent_id: {
      schema: id,
      what: 'the agent the person chose for new rooms',
      writer: 'owner of the person, for `!agent ID`',
      merge: 'higherStampWins',
      why: 'the person’s latest choice counts',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/** A room the bot works in; its key is the room id. */
export const room = {
  document: 'routing',
  map: 'rooms',
  prefix: 'matrix_room:',
  key: '<room id>',
  placement: 'room',
  fields: {
    room_type: {
      schema: id,
      what: 'what the room is for',
      writer: 'owner of the room, on first use',
      merge: 'higherStampWins',
      why: 'set once in ordinary times',
      kind: 'fact',
    },
    chat_id: {
      schema: id,
      what: 'the chat’s number for people, as in C3',
      writer: 'owner of the room, from the ledger',
      merge: 'higherStampWins',
      why: 'the ledger decides it, so all writers write the same (P3)',
      kind: 'fact',
    },
    display_name: {
      schema: z.string(),
      what: 'name of the room',
      writer: 'owner of the room, for `!new`, `!rename`',
      merge: 'higherStampWins',
      why: 'the latest name counts',
      kind: 'choice',
    },
    matrix_user_id: {
      schema: id,
      what: 'whose room it is; decides where everything of the room is kept',
      writer: 'owner of the person, on first use',
      merge: 'higherStampWins',
      why: 'all replicas must find the same place (O5)',
      kind: 'fact',
    },
    space_id: {
      schema: id,
      what: 'the space the room is a child of',
      writer: 'owner of the room',
      merge: 'higherStampWins',
      why: 'follows from the person’s record',
      kind: 'fact',
    },
    platform_chat_id: {
      schema: id,
      what: 'the room’s own context on the agent platform',
      writer: 'owner of the room, on first use',
      merge: 'higherStampWins',
      why: 'the platform gives one id per key, so two writers write the same (P1)',
      kind: 'fact',
    },
    agent_id: {
      schema: id,
      what: 'the agent that answers in this room',
      writer: 'owner of the room, on first use and for `!agent ID`',
      merge: 'higherStampWins',
      why: 'the latest choice counts',
      kind: 'choice',
    },
    answers: {
      schema: z.enum(['always', 'mentioned']),
      what: 'which messages are for the bot: every one, or those that address it; absent: as `mentioned`',
      writer:
        'owner of the room when it is bound, and a replica at its start, from `UNDERSTUDY_ALWAYS_ROOMS`',
      merge: 'higherStampWins',
      why: 'the latest setting counts',
      kind: 'choice',
    },
    direct: {
      schema: z.boolean(),
      what: 'a direct chat, as `m.direct` said when the room was bound',
      writer: 'owner of the room, on first use',
      merge: 'higherStampWins',
      why: 'puts back an entry of `m.direct` that another write took away',
      kind: 'fact',
    },
    threads: {
      schema: z.enum(['own', 'shared']),
      what: 'whether each thread has a context of its own or all share the room’s; absent: as `UNDERSTUDY_THREADS` says',
      writer: 'owner of the room, for `!threads`',
      merge: 'higherStampWins',
      why: 'the latest choice counts',
      kind: 'choice',
    },
    loaded_context: {
      schema: id,
      what: 'name of the saved context last loaded here',
      writer: 'owner of the room, for `!load`',
      merge: 'higherStampWins',
      why: 'the latest load counts',
      kind: 'choice',
    },
    archived: {
      schema: z.boolean(),
      what: 'no longer in use',
      writer: 'owner of the room, for `!archive`',
      merge: 'higherStampWins',
      why: 'the latest decision counts',
      kind: 'choice',
    },
  },
} as const satisfies KindTable;

/** A chat of a person, by what created it (its number is a field, because it is decided later). */
export const chat = {
  document: 'routing',
  map: 'chats',
  prefix: 'chat:',
  key: '<mxid>/<create event id or source id>',
  placement: 'person',
  fields: {
    chat_id: {
      schema: id,
      what: 'the chat’s number for people, as in C3',
      writer: 'owner of the person, from the ledger',
      merge: 'higherStampWins',
      why: 'the ledger decides it (P3)',
      kind: 'fact',
    },
    room_id: {
      schema: id,
      what: 'the room it is bound to',
      writer: 'owner of the person, from the ledger',
      merge: 'higherStampWins',
      why: 'the ledger decides it (P3)',
      kind: 'fact',
    },
    matrix_user_id: {
      schema: id,
      what: 'whose chat it is',
      writer: 'owner of the person',
      merge: 'higherStampWins',
      why: 'part of the key, never changes',
      kind: 'fact',
    },
    created_by: {
      schema: id,
      what: 'the source that made it',
      writer: 'owner of the person',
      merge: 'higherStampWins',
      why: 'never changes',
      kind: 'fact',
    },
  },
} as const satisfies KindTable;
