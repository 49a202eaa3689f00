import type { z } from 'zod';
import { JournalError } from './journal-error.js';
import { HEADER, readLines } from './journal-line.js';

/** What a journal's file holds. */
export interface Replay<State> {
  state: State;
  /** Bytes of an unfinished last write, to be cut. */
  torn: number;
  /** Whole lines that are not what was written, in order. */
  bad: { reason: string; raw: Buffer }[];
}

export interface ReplayOptions<State, Entry> {
  entries: z.ZodType<Entry[]>;
  initial: () => State;
  apply: (state: State, entry: Entry) => void;
}

/**
 * Folds the good lines, in order. A line counts whole or not at all.
 *
 * @throws JournalError `newer` when the first line names another format, and the others are not all of this one.
 */
export function replay<State, Entry>(
  file: Uint8Array,
  { entries, initial, apply }: ReplayOptions<State, Entry>,
): Replay<State> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const result: Replay<State> = { state: initial(), torn: 0, bad: [] };
  for (const line of readLines(bytes, headerLength(bytes, entries))) {
    if (line.state === 'torn') result.torn = line.raw.length;
    if (line.state === 'bad') result.bad.push(line);
    if (line.state !== 'good') continue;
    const parsed = entries.safeParse(line.value);
    if (!parsed.success) result.bad.push({ reason: 'unknown entry', raw: line.raw });
    else for (const entry of parsed.data) apply(result.state, entry);
  }
  return result;
}

/**
 * A damaged first line is read as any other, and found bad. So is one whose number alone is another, over lines that
 * are all of this format: it is the number that is damaged.
 */
function headerLength(bytes: Buffer, entries: z.ZodType<unknown>): number {
  const first = bytes.toString('latin1', 0, 40);
  if (first.startsWith(HEADER)) return HEADER.length;
  const [header, version] = /^understudy-journal (\d{1,6})\n/.exec(first) ?? [];
  if (header === undefined) return 0;
  const lines = [...readLines(bytes, header.length)].filter(({ state }) => state !== 'torn');
  if (lines.every((line) => line.state === 'good' && entries.safeParse(line.value).success)) return 0;
  throw new JournalError('newer', `the journal has format ${version}, this version knows 1`);
}
