import { type Records, roomKey } from '../../records.js';
import type { Binding } from '../binding.js';
import { notice, pickAnAgent } from '../texts.js';
import type { RoomThreads, Threads } from '../threads.js';
import type { Run } from './command.js';

const says = (mode: Threads, prefix: string): string =>
  mode === 'shared'
    ? 'Threads here share the room’s context.'
    : 'Each thread here has a context of its own; what stands in no thread has the room’s. ' +
      `In a thread ${prefix}save, ${prefix}load, ${prefix}branch and ${prefix}context are about the thread’s; ` +
      'all other commands are about the room.';

/** `!threads`: the room's choice; the room is bound first, because its record comes from that alone (PROTOCOL P3). */
export function threadsCommand(deps: {
  records: Records;
  binding: Binding;
  threads: RoomThreads;
  prefix: string;
}): Run {
  return async ({ room, person, cause, args: [mode], signal, fresh }) => {
    if (mode === undefined) return notice(says(deps.threads.of(room), deps.prefix));
    if (mode !== 'own' && mode !== 'shared')
      return notice(`Write ${deps.prefix}threads own, or ${deps.prefix}threads shared.`);
    const bound = await deps.binding.bind(room, person, cause, signal);
    if ('gone' in bound) return pickAnAgent(bound.gone, bound.agents, deps.prefix);
    fresh();
    await deps.records.write([{ kind: 'room', key: roomKey(room), fields: { threads: mode } }], cause);
    return notice(says(mode, deps.prefix));
  };
}
