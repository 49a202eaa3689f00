import type { Outcome } from '../../attendant.js';
import type { Cause } from '../../records.js';

/** What a command knows of the message that it answers. */
export interface Call {
  room: string;
  person: string;
  cause: Cause;
  args: string[];
  signal: AbortSignal;
}

/** One command. It may be delivered to several replicas, cut short, and replayed: every effect is read-then-write
 * under (source, step), and the answer comes last (PROTOCOL P3). */
export interface Command {
  name: string;
  usage: string;
  summary: string;
  /** Passes ahead of a run in the same room (PROTOCOL O6). */
  ahead?: boolean;
  /** Writes the person's own records, so that their owner begins it, in whichever room (PROTOCOL O5). */
  personal?: boolean;
  run(call: Call): Promise<Outcome>;
}

/** `!name args`, arguments in single or double quotes kept together; undefined where it is no command. */
export function parseCommand(prefix: string, body: string): { name: string; args: string[] } | undefined {
  if (!body.startsWith(prefix)) return undefined;
  const words = [...body.slice(prefix.length).matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  );
  const [name, ...args] = words;
  return name === undefined || !/^[a-z]+$/i.test(name) ? undefined : { name: name.toLowerCase(), args };
}
