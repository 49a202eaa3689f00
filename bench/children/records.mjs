/** The records of a room in use, about 600 bytes with who and when of every field; ten rooms for each person. */
const ROOMS_PER_PERSON = 10;
const START = 1_700_000_000_000;

export const personOf = (index) => `@person-${Math.floor(index / ROOMS_PER_PERSON)}:example.org`;
export const roomId = (index) => `!${String(index).padStart(18, 'r')}:example.org`;

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
        platform_chat_id: `chat-${index}-0a1b2c3d4e5f`,
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
  return { id: `$${`${what}${index}`.padStart(43, 'e')}`, ts: START + index };
}
