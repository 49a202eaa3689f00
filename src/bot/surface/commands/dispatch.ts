import type { Outcome } from '../../attendant.js';
import type { Records } from '../../records.js';
import type { Binding } from '../binding.js';
import { notice } from '../texts.js';
import { checkArguments } from './arguments.js';
import { type Call, parseCommand, type Run } from './command.js';
import { misused, unknownCommand } from './help.js';
import { type CommandEntry, type CommandName, commands } from './list.js';
import { refusal } from './permission.js';

export interface DispatchDeps {
  prefix: string;
  records: Pick<Records, 'room'>;
  binding: Pick<Binding, 'finishIfMade'>;
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
    const { prefix, records, binding, runs } = this.deps;
    const parsed = parseCommand(prefix, body);
    if (parsed === undefined) return undefined;
    const isAdmin = this.deps.isAdmin(call.person);
    const entry = find(parsed.name);
    if (entry === undefined || (entry.who === 'admin' && !isAdmin))
      return unknownCommand(prefix, parsed.name);
    // Its record may be elsewhere: whose chat it is, the room itself says (PROTOCOL P3).
    const made = entry.room && (await binding.finishIfMade(call.room, call.signal));
    const { matrix_user_id: owner = made?.person, archived = false } = records.room(call.room) ?? {};
    const refused = refusal(entry, call.person, isAdmin, { owner, archived, prefix });
    if (refused !== undefined) return notice(refused);
    const checked = checkArguments(entry, parsed.words);
    if ('wrong' in checked) return misused(prefix, entry, checked.wrong);
    return runs[entry.name]({ ...call, args: checked.args, isAdmin });
  }
}

type Entry = CommandEntry & { name: CommandName };

const find = (name: string): Entry | undefined =>
  (commands as readonly Entry[]).find((one) => one.name === name);
