import type { Homeserver } from '../../../matrix/homeserver.js';
import type { Records } from '../../records.js';
import { serverOf } from '../../../matrix/server-of.js';
import { link, notice } from '../texts.js';
import type { Run } from './command.js';

/** `!chats`: the person's own chats in the order of their numbers, those that are closed last and without a link. */
export function chatsCommand(deps: {
  homeserver: Pick<Homeserver, 'joinedRooms'>;
  records: Records;
  self: string;
  prefix: string;
}): Run {
  return async ({ room, person, signal }) => {
    const chats = deps.records.chatsOf(person);
    const joined = new Set(await deps.homeserver.joinedRooms(signal));
    const server = serverOf(deps.self);
    const lines = chats
      .filter((chat) => !chat.archived && joined.has(chat.room))
      .map(
        (chat) =>
          `${chat.room === room ? '→' : '·'} ${chat.chatId} “${chat.name}”: ${link(chat.room, server)}`,
      );
    const closed = chats.filter(({ archived }) => archived).map(({ chatId, name }) => `${chatId} “${name}”`);
    const gone = chats
      .filter((chat) => !chat.archived && !joined.has(chat.room))
      .map(({ chatId, name }) => `${chatId} “${name}”`);
    if (lines.length === 0) lines.push(`none; ${deps.prefix}new makes one`);
    return notice(
      [
        'Your chats (→ is this one):',
        ...lines,
        ...(closed.length > 0 ? [`archived: ${closed.join(', ')}`] : []),
        ...(gone.length > 0 ? [`I was taken out of: ${gone.join(', ')}`] : []),
      ].join('\n'),
    );
  };
}
