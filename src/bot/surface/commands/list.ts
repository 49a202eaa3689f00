/** One argument, as the usage names it. */
export interface Parameter {
  name: string;
  optional?: true;
  /** A text to the end of the message, with or without quotes; else one word. */
  text?: true;
}

/**
 * Who may use a command.
 * - `anyone`: whoever may talk to the bot.
 * - `owner`: in a room that is a person's, that person and admins.
 * - `admin`: UNDERSTUDY_ADMINS alone; other people's help does not name it.
 */
export type Who = 'anyone' | 'owner' | 'admin';

/** A command as people see it. Parsing, help, permission and the table in README are all made from these. */
export interface CommandEntry {
  name: string;
  parameters: readonly Parameter[];
  summary: string;
  who: Who;
  /** Passes ahead of a run in the same room (PROTOCOL O6). */
  ahead?: true;
  /** Writes the person's own records, so that their owner begins it, in whichever room (PROTOCOL O5). */
  personal?: true;
  /** Judges by the room's record, or writes it: a chat whose record is not here is finished first. */
  room?: true;
  /** Not in an archived chat. */
  open?: true;
}

const NAME = { name: 'NAME', text: true } as const;
const OPTIONAL_NAME = { ...NAME, optional: true } as const;

export const commands = [
  {
    name: 'new',
    parameters: [OPTIONAL_NAME],
    summary: 'make a new chat room with a fresh context',
    who: 'anyone',
    personal: true,
  },
  {
    name: 'branch',
    parameters: [OPTIONAL_NAME],
    summary: 'make a new chat room that remembers what was said here so far',
    who: 'owner',
    room: true,
    personal: true,
  },
  { name: 'chats', parameters: [], summary: 'list your chats', who: 'anyone' },
  {
    name: 'rename',
    parameters: [NAME],
    summary: 'give this chat another name',
    who: 'owner',
    room: true,
    open: true,
  },
  {
    name: 'archive',
    parameters: [],
    summary: 'close this chat and take it out of your space',
    who: 'owner',
    room: true,
  },
  {
    name: 'save',
    parameters: [NAME],
    summary: 'save this room’s context, or this thread’s own, under a name',
    who: 'owner',
    room: true,
  },
  {
    name: 'load',
    parameters: [OPTIONAL_NAME],
    summary: 'go on from a saved context; without a name, list them to choose from',
    who: 'owner',
    room: true,
    open: true,
  },
  {
    name: 'context',
    parameters: [],
    summary: 'show this room’s context, or this thread’s own: its platform chat, its agent, what was loaded',
    who: 'anyone',
    room: true,
  },
  {
    name: 'threads',
    parameters: [{ name: 'MODE', optional: true }],
    summary:
      'give each thread here a context of its own (own), which save, load, branch and context in it are about, or all the room’s (shared); without MODE, say which',
    who: 'owner',
    room: true,
    open: true,
  },
  { name: 'agents', parameters: [], summary: 'list the agents you can talk to', who: 'anyone', room: true },
  {
    name: 'agent',
    parameters: [{ name: 'ID' }],
    summary: 'talk to this agent in this room (in a fresh context), and in rooms you make from now on',
    who: 'owner',
    room: true,
    open: true,
  },
  {
    name: 'cancel',
    parameters: [],
    summary: 'stop the answer under way in this room',
    who: 'anyone',
    room: true,
    ahead: true,
  },
  {
    name: 'status',
    parameters: [],
    summary: 'which replica answers, which are alive, relay, platform, lag, tasks',
    who: 'anyone',
    ahead: true,
  },
  {
    name: 'help',
    parameters: [{ name: 'COMMAND', optional: true }],
    summary: 'list the commands, or explain one',
    who: 'anyone',
  },
  {
    name: 'yes',
    parameters: [{ name: 'always', optional: true }],
    summary: 'agree to what the agent asked, or to all of that kind in this chat',
    who: 'anyone',
    ahead: true,
  },
  { name: 'no', parameters: [], summary: 'decline what the agent asked', who: 'anyone', ahead: true },
] as const satisfies readonly CommandEntry[];

export type CommandName = (typeof commands)[number]['name'];

/** How it is typed, without the prefix: `load [NAME]`. */
export function usageOf({ name, parameters }: CommandEntry): string {
  const named = parameters.map((one) => (one.optional ? `[${one.name}]` : one.name));
  return [name, ...named].join(' ');
}
