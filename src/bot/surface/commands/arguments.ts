import type { CommandEntry } from './list.js';

/** Of one argument, in characters: what names of rooms and contexts can be read by people. */
export const LONGEST_ARGUMENT = 100;

/** Control characters, line separators, halves of characters: shown as the space that they stand for. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\s]+/gu;
/** What would turn the text around it, or hide in it. */
const INVISIBLE = /[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/gu;

/** A text on one line, without anything that no one can see. */
export const cleaned = (text: string): string => text.replace(INVISIBLE, '').replace(UNPRINTABLE, ' ').trim();

export type Checked = { args: string[] } | { wrong: string };

/** Words against a command's parameters: cleaned, none missing, none too many, none too long. */
export function checkArguments({ parameters }: CommandEntry, words: readonly string[]): Checked {
  const isText = parameters.at(-1)?.text === true;
  const given = isText && words.length > 0 ? [words.join(' ')] : [...words];
  const args = given.map(cleaned);
  const missing = parameters.find((one, i) => (i < args.length ? args[i] === '' : !one.optional));
  if (missing !== undefined) return { wrong: `${missing.name} is missing.` };
  if (args.length > parameters.length) return { wrong: 'That is more than this command takes.' };
  const long = parameters.find((_, i) => Array.from(args[i] ?? '').length > LONGEST_ARGUMENT);
  if (long !== undefined)
    return { wrong: `${long.name} is too long: at most ${LONGEST_ARGUMENT} characters.` };
  return { args };
}
