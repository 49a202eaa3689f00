import type { PlatformClient } from '../../../platform/client.js';
import type { Records } from '../../records.js';
import type { Binding } from '../binding.js';
import { stepKey } from '../platform-key.js';
import { badName, NO_CONTEXT } from '../saved.js';
import { notice, pickAnAgent } from '../texts.js';
import type { Run } from './command.js';

/** `!save`: the platform keeps the context under the name; the same source saves it once (PROTOCOL P1). */
export function saveCommand(deps: {
  records: Records;
  platform: PlatformClient;
  binding: Binding;
  prefix: string;
}): Run {
  return async ({ room, place, person, cause, args: [name = ''], signal, fresh }) => {
    const bad = badName(name);
    if (bad !== undefined) return notice(bad);
    if (deps.records.room(room)?.platform_chat_id === undefined) return notice(NO_CONTEXT);
    fresh();
    const saved = await deps.binding.within(place, person, cause, signal, ({ platformChat }) =>
      deps.platform.saveContext(stepKey(cause.id, 'save'), platformChat, name, signal),
    );
    if ('gone' in saved) return pickAnAgent(saved.gone, saved.agents, deps.prefix);
    const where = place.thread === undefined ? '' : ' in this thread';
    return notice(`Saved as “${name}”. ${deps.prefix}load brings it back${where}.`);
  };
}
