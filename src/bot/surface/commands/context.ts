import type { Records } from '../../records.js';
import { NO_CONTEXT } from '../saved.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

export function contextCommand(deps: { records: Records }): Run {
  return ({ room }) => {
    const record = deps.records.room(room);
    if (record?.platform_chat_id === undefined) return Promise.resolve(notice(NO_CONTEXT));
    const lines = [
      `platform_chat_id: ${record.platform_chat_id}`,
      `agent: ${record.agent_id ?? 'none'}`,
      ...(record.chat_id === undefined ? [] : [`chat: ${record.chat_id}`]),
      ...(record.loaded_context === undefined ? [] : [`loaded: ${record.loaded_context}`]),
    ];
    return Promise.resolve(notice(lines.join('\n')));
  };
}
