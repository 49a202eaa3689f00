import { type Records, roomKey } from '../../records.js';
import type { DerivedState } from '../derived.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

export const NO_CHAT = 'This is no chat that I made.';

/** `!rename`: the record first, then what follows from it (PROTOCOL P3). */
export function renameCommand(deps: { records: Records; derived: DerivedState }): Run {
  return async ({ room, cause, args: [name = ''], signal, fresh }) => {
    const { records, derived } = deps;
    if (records.room(room)?.room_type !== 'chat') return notice(`${NO_CHAT} Rename it in your own client.`);
    fresh();
    await records.write([{ kind: 'room', key: roomKey(room), fields: { display_name: name } }], cause);
    fresh();
    await derived.write(room, signal);
    return notice(`This chat is called “${name}” now.`);
  };
}
