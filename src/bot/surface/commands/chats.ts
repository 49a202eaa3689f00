import type { Records } from '../../records.js';
import { serverOf } from '../spaces.js';
import { link, notice } from '../texts.js';
import type { Run } from './command.js';

/** `!chats`: the person's own chats in the order of their numbers, archived ones last and without a link. */
export function chatsCommand(deps: { records: Records; self: string; prefix: string }): Run {
  return ({ room, person }) => {
    const chats = deps.records.chatsOf(person);
    const server = serverOf(deps.self);
    const lines = chats
      .filter(({ archived }) => !archived)
      .map(
        (chat) =>
          `${chat.room === room ? '→' : '·'} ${chat.chatId} “${chat.name}”: ${link(chat.room, server)}`,
      );
    const closed = chats.filter(({ archived }) => archived).map(({ chatId, name }) => `${chatId} “${name}”`);
    if (lines.length === 0) lines.push(`none; ${deps.prefix}new makes one`);
    return Promise.resolve(
      notice(
        [
          'Your chats (→ is this one):',
          ...lines,
          ...(closed.length > 0 ? [`archived: ${closed.join(', ')}`] : []),
        ].join('\n'),
      ),
    );
  };
}
