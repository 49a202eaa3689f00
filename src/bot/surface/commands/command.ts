import type { Outcome } from '../../attendant.js';
import type { Cause } from '../../records.js';
import type { Source } from '../../source.js';
import type { Place } from '../threads.js';

/** What a command knows of the message that it answers. */
export interface Call {
  source: Source;
  room: string;
  /** Which context it is about: that in which a prompt there would be answered. */
  place: Place;
  person: string;
  cause: Cause;
  /** Checked against the table and cleaned; an optional one that was left out is absent. */
  args: readonly string[];
  isAdmin: boolean;
  signal: AbortSignal;
  /** Throws where this work was taken over or the timeline must be read again (PROTOCOL D5): before each write. */
  fresh: () => void;
}

/** Carries a command out. It may be delivered to several replicas, cut short, and replayed: every effect is
 * read-then-write under (source, step), and the answer comes last (PROTOCOL P3). */
export type Run = (call: Call) => Promise<Outcome>;

/** Also those that phones put in place of straight ones. */
const WORD = /"([^"]*)"|'([^']*)'|[“”„]([^“”„]*)[“”„]|[‘’‚]([^‘’‚]*)[‘’‚]|(\S+)/gu;

/** `!name words`, words in single or double quotes kept together; undefined where it is no command. */
export function parseCommand(prefix: string, body: string): { name: string; words: string[] } | undefined {
  if (!body.startsWith(prefix)) return undefined;
  const words = [...body.slice(prefix.length).matchAll(WORD)].map(
    (match) => match.slice(1).find((word) => word !== undefined) ?? '',
  );
  const [name, ...rest] = words;
  return name === undefined || !/^[a-z]+$/i.test(name)
    ? undefined
    : { name: name.toLowerCase(), words: rest };
}
