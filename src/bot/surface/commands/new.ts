import type { Chats } from '../chats.js';
import type { Onboarding } from '../onboarding.js';
import { serverOf } from '../../../matrix/server-of.js';
import { link, notice, pickAnAgent } from '../texts.js';
import type { Call, Run } from './command.js';

export interface NewDeps {
  onboarding: Onboarding;
  chats: Chats;
  self: string;
  prefix: string;
}

/** `!new`: a room with a fresh context. `!branch`: one whose context goes on from that of the place. */
export function newCommand(deps: NewDeps, kind: 'new' | 'branch'): Run {
  return async ({ place, person, cause, args: [name], signal }: Call) => {
    const welcome = await deps.onboarding.ensure(person, signal);
    if ('gone' in welcome) return pickAnAgent(welcome.gone, welcome.agents, deps.prefix);
    const { room: from, thread } = place;
    const origin = { from, ...(thread !== undefined && { thread }) };
    const wanted = { ...(name !== undefined && { name }), ...(kind === 'branch' && origin) };
    const chat = await deps.chats.make(cause, person, welcome.space, wanted, signal);
    if ('gone' in chat) return pickAnAgent(chat.gone, chat.agents, deps.prefix);
    const where = `${chat.chatId} “${chat.name}”`;
    const made = kind === 'new' ? `Made ${where}` : `Branched into ${where}`;
    return notice(`${made}: ${link(chat.room, serverOf(deps.self))}`);
  };
}
