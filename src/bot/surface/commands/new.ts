import type { Chats } from '../chats.js';
import type { Onboarding } from '../onboarding.js';
import { serverOf } from '../spaces.js';
import { link, notice, pickAnAgent } from '../texts.js';
import type { Command } from './command.js';

export function newCommand(deps: {
  onboarding: Onboarding;
  chats: Chats;
  self: string;
  prefix: string;
}): Command {
  return {
    name: 'new',
    usage: 'new [NAME]',
    summary: 'make a new chat room with a fresh context',
    personal: true,
    async run({ person, cause, args, signal }) {
      const welcome = await deps.onboarding.ensure(person, signal);
      if ('gone' in welcome) return pickAnAgent(welcome.gone, welcome.agents, deps.prefix);
      const name = args.length === 0 ? undefined : args.join(' ').slice(0, 200);
      const chat = await deps.chats.make(cause, person, welcome.space, name, signal);
      if ('gone' in chat) return pickAnAgent(chat.gone, chat.agents, deps.prefix);
      return notice(`Made ${chat.chatId} “${chat.name}”: ${link(chat.room, serverOf(deps.self))}`);
    },
  };
}
