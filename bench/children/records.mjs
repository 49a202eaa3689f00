import { createHash } from 'node:crypto';

/**
 * The records of a room in use, about 900 bytes with who and when of every field; ten rooms for each person. Ids are as
 * random as a homeserver's, because what compresses well is written and read faster than what people have.
 */
const ROOMS_PER_PERSON = 10;
const START = 1_700_000_000_000;

export const personOf = (index) => `@person-${Math.floor(index / ROOMS_PER_PERSON)}:example.org`;
export const roomId = (index) => `!${random(`room ${index}`, 18)}:example.org`;

const random = (seed, length) => createHash('sha256').update(seed).digest('base64url').slice(0, length);

/** The write that binds room number `index`, and the event that caused it. */
export function roomWrite(index) {
  const chat = `C${(index % ROOMS_PER_PERSON) + 1}`;
  return {
    write: {
      kind: 'room',
      key: `matrix_room:${roomId(index)}`,
      fields: {
        room_type: 'chat',
        chat_id: chat,
        display_name: `${chat} · Talk number ${index}`,
        matrix_user_id: personOf(index),
        platform_chat_id: random(`chat ${index}`, 22),
        agent_id: 'assistant',
      },
    },
    cause: cause(index, 'b'),
  };
}

/** A later change of room number `index`: the person renames it. */
export function renameWrite(index, turn) {
  return {
    write: {
      kind: 'room',
      key: `matrix_room:${roomId(index)}`,
      fields: { display_name: `Talk number ${index}, renamed ${turn}` },
    },
    cause: cause(index, `c${turn}`),
  };
}

function cause(index, what) {
  return { id: `$${random(`event ${what} ${index}`, 43)}`, ts: START + index };
}
