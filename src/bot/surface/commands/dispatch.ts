import type { Outcome } from '../../attendant.js';
import type { Records } from '../../records.js';
import { notice } from '../texts.js';
import { checkArguments } from './arguments.js';
import { type Call, parseCommand, type Run } from './command.js';
import { misused, unknownCommand } from './help.js';
import { type CommandEntry, type CommandName, commands } from './list.js';
import { refusal } from './permission.js';

export interface DispatchDeps {
  prefix: string;
  records: Pick<Records, 'room'>;
  isAdmin: (mxid: string) => boolean;
  runs: Record<CommandName, Run>;
}

/** From a message to the command that it is: who may, with which arguments, by the one table. */
export class Dispatch {
  constructor(private readonly deps: DispatchDeps) {}

  isCommand(body: string): boolean {
    return parseCommand(this.deps.prefix, body) !== undefined;
  }

  entry(body: string): CommandEntry | undefined {
    const parsed = parseCommand(this.deps.prefix, body);
    return parsed && find(parsed.name);
  }

  /** The answer to a command; undefined where the message is none. */
  async run(body: string, call: Omit<Call, 'args' | 'isAdmin'>): Promise<Outcome | undefined> {
    const { prefix, records, runs } = this.deps;
    const parsed = parseCommand(prefix, body);
    if (parsed === undefined) return undefined;
    const isAdmin = this.deps.isAdmin(call.person);
    const entry = find(parsed.name);
    if (entry === undefined || (entry.who === 'admin' && !isAdmin))
      return unknownCommand(prefix, parsed.name);
    const refused = refusal(entry, call.person, isAdmin, records.room(call.room));
    if (refused !== undefined) return notice(refused);
    const checked = checkArguments(entry, parsed.words);
    if ('wrong' in checked) return misused(prefix, entry, checked.wrong);
    return runs[entry.name]({ ...call, args: checked.args, isAdmin });
  }
}

type Entry = CommandEntry & { name: CommandName };

const find = (name: string): Entry | undefined =>
  (commands as readonly Entry[]).find((one) => one.name === name);
