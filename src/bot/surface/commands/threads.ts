import { type Records, roomKey } from '../../records.js';
import type { Binding } from '../binding.js';
import { notice, pickAnAgent } from '../texts.js';
import type { RoomThreads, Threads } from '../threads.js';
import type { Run } from './command.js';

const SAYS: Record<Threads, string> = {
  own: 'Each thread here has a context of its own; what stands in no thread has the room’s.',
  shared: 'Threads here share the room’s context.',
};

/** `!threads`: the room's choice; the room is bound first, because its record comes from that alone (PROTOCOL P3). */
export function threadsCommand(deps: {
  records: Records;
  binding: Binding;
  threads: RoomThreads;
  prefix: string;
}): Run {
  return async ({ room, person, cause, args: [mode], signal, fresh }) => {
    if (mode === undefined) return notice(SAYS[deps.threads.of(room)]);
    if (mode !== 'own' && mode !== 'shared')
      return notice(`Write ${deps.prefix}threads own, or ${deps.prefix}threads shared.`);
    const bound = await deps.binding.bind(room, person, cause, signal);
    if ('gone' in bound) return pickAnAgent(bound.gone, bound.agents, deps.prefix);
    fresh();
    await deps.records.write([{ kind: 'room', key: roomKey(room), fields: { threads: mode } }], cause);
    return notice(SAYS[mode]);
  };
}
