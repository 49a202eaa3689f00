import type { Records } from '../../records.js';
import { notice } from '../texts.js';
import type { Command } from './command.js';

export function contextCommand(deps: { records: Records }): Command {
  return {
    name: 'context',
    usage: 'context',
    summary: 'show this room’s context: its platform chat and its agent',
    async run({ room }) {
      const record = deps.records.room(room);
      if (record?.platform_chat_id === undefined) {
        return Promise.resolve(notice('This room has no context yet; it gets one with its first prompt.'));
      }
      const lines = [
        `platform_chat_id: ${record.platform_chat_id}`,
        `agent: ${record.agent_id ?? 'none'}`,
        ...(record.chat_id === undefined ? [] : [`chat: ${record.chat_id}`]),
      ];
      return Promise.resolve(notice(lines.join('\n')));
    },
  };
}
