import { notice } from '../texts.js';
import type { Run } from './command.js';
import { type CommandEntry, usageOf } from './list.js';
import { visible } from './permission.js';

/** The list of commands, as `!help` and the greeting show it. */
export function commandList(prefix: string, entries: readonly CommandEntry[]): string {
  return entries.map((entry) => `${prefix}${usageOf(entry)}: ${entry.summary}`).join('\n');
}

const limits = { anyone: [], owner: ['Only for the one whose room it is.'], admin: ['Only for admins.'] };

export function helpCommand(deps: { prefix: string; entries: readonly CommandEntry[] }): Run {
  return ({ args: [wanted], isAdmin }) => {
    const { prefix } = deps;
    const entries = visible(deps.entries, isAdmin);
    if (wanted === undefined) {
      const list = commandList(prefix, entries);
      return Promise.resolve(notice(`Write to me and the room’s agent answers. Commands:\n${list}`));
    }
    const name = (wanted.startsWith(prefix) ? wanted.slice(prefix.length) : wanted).toLowerCase();
    const entry = entries.find((one) => one.name === name);
    if (entry === undefined) return Promise.resolve(unknownCommand(prefix, name));
    return Promise.resolve(notice([commandList(prefix, [entry]), ...limits[entry.who]].join('\n')));
  };
}

export const unknownCommand = (prefix: string, name: string) =>
  notice(`There is no command ${prefix}${name}. ${prefix}help lists them.`);

/** What was wrong with a command, and how it is used. */
export const misused = (prefix: string, entry: CommandEntry, wrong: string) =>
  notice(`${wrong}\nUsage: ${commandList(prefix, [entry])}`);
