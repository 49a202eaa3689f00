import type { Records } from '../../records.js';
import type { Binding } from '../binding.js';
import { NO_CONTEXT } from '../saved.js';
import { notice, pickAnAgent } from '../texts.js';
import type { RoomThreads } from '../threads.js';
import type { Run } from './command.js';

/** `!context`: of a thread with its own the platform is asked, because no document says which it is. */
export function contextCommand(deps: {
  records: Records;
  binding: Binding;
  threads: RoomThreads;
  prefix: string;
}): Run {
  return async ({ room, place, person, cause, signal }) => {
    const record = deps.records.room(room);
    if (record?.platform_chat_id === undefined) return notice(NO_CONTEXT);
    const chat = record.chat_id === undefined ? [] : [`chat: ${record.chat_id}`];
    if (place.thread === undefined) {
      const lines = [
        `platform_chat_id: ${record.platform_chat_id}`,
        `agent: ${record.agent_id ?? 'none'}`,
        ...chat,
        ...(record.loaded_context === undefined ? [] : [`loaded: ${record.loaded_context}`]),
        `threads: ${deps.threads.of(room)}`,
      ];
      return notice(lines.join('\n'));
    }
    const found = await deps.binding.within(place, person, cause, signal, (own) => Promise.resolve(own));
    if ('gone' in found) return pickAnAgent(found.gone, found.agents, deps.prefix);
    const { platformChat, agent } = found.result;
    const lines = [
      `platform_chat_id: ${platformChat}`,
      `agent: ${agent}`,
      ...chat,
      'context: this thread’s own',
    ];
    return notice(lines.join('\n'));
  };
}
