import { notice } from '../texts.js';
import type { Command } from './command.js';

/** The list of commands, as `!help` and the greeting show it. */
export function commandList(prefix: string, commands: Iterable<Command>): string {
  return [...commands].map(({ usage, summary }) => `${prefix}${usage}: ${summary}`).join('\n');
}

export function helpCommand(deps: { prefix: string; commands: () => Iterable<Command> }): Command {
  return {
    name: 'help',
    usage: 'help',
    summary: 'this list',
    async run() {
      const list = commandList(deps.prefix, deps.commands());
      return Promise.resolve(notice(`Write to me and the room’s agent answers. Commands:\n${list}`));
    },
  };
}
