const LONGEST_WAIT_S = 3600;
const DELTA_EVERY_S = 0.05;
const MOST_DELTAS = 10_000;
const LARGEST_ANSWER = 1_000_000;

/** What a prompt asks of the drill backend. */
export interface DrillOrders {
  /** "wait 1.5": seconds before anything else, in milliseconds here. */
  waitMs: number;
  /** "stream 40": so many deltas. */
  deltas: number;
  /** "every 0.5": seconds from delta to delta, in milliseconds here. */
  everyMs: number;
  /** "approve": asks a person first. */
  approve: boolean;
  /** "fail": ends with an error. */
  fail: boolean;
  /** "size 50000": the answer is filled up to so many characters. */
  size: number;
  /** "vary": every invocation answers differently. */
  vary: boolean;
}

/** Reads the orders out of a prompt; they may be combined, and stand anywhere in it. */
export function readOrders(text: string): DrillOrders {
  return {
    waitMs: Math.min(amount(text, 'wait'), LONGEST_WAIT_S) * 1000,
    deltas: Math.floor(Math.min(amount(text, 'stream'), MOST_DELTAS)),
    everyMs: Math.min(amount(text, 'every') || DELTA_EVERY_S, LONGEST_WAIT_S) * 1000,
    size: Math.floor(Math.min(amount(text, 'size'), LARGEST_ANSWER)),
    approve: /\bapprove\b/i.test(text),
    fail: /\bfail\b/i.test(text),
    vary: /\bvary\b/i.test(text),
  };
}

function amount(text: string, word: string): number {
  const found = new RegExp(`\\b${word} (\\d+(?:\\.\\d+)?)(?![\\w])`, 'i').exec(text);
  return found ? Number(found[1]) : 0;
}

/** Appends numbered words until the text has exactly `size` characters, so that a missing part shows. */
export function fillUp(text: string, size: number): string {
  let filled = text;
  for (let word = 1; filled.length < size; word++) filled += ` ${String(word).padStart(5, '0')}`;
  return filled.length > text.length ? filled.slice(0, Math.max(size, text.length)) : filled;
}

/** Cuts a text into exactly `count` pieces of about equal length that join to it; never inside a character. */
export function slices(text: string, count: number): string[] {
  const characters = Array.from(text);
  const at = (piece: number) => Math.floor((piece * characters.length) / count);
  return Array.from({ length: count }, (_, piece) => characters.slice(at(piece), at(piece + 1)).join(''));
}
