import { afterLine, closing, CLOSING_BYTES, type Fence, reopening } from './fence.js';
import { graphemeEnd } from './grapheme.js';

/**
 * Bytes of UTF-8 JSON that one part's text may take: an edit carries it twice, and with HTML four times, in an event of
 * at most 60,000 bytes (PROTOCOL D3). HTML that takes much more than its text is left out where it does not fit.
 */
export const PART_BYTES = 12_000;

const SENTENCE_END = /[.!?…]["'”’)\]]*[ \t]+|[。！？]/g;
const WORD_END = /\s/g;

/** Bytes of UTF-8 JSON that the text takes within an event. */
export const encodedBytes = (text: string): number => Buffer.byteLength(JSON.stringify(text)) - 2;

/** A piece of a text, and what stands around it so that its part is Markdown of its own. */
export interface Cut {
  /** Opens the code fence again that was cut. */
  before: string;
  text: string;
  /** Closes it. */
  after: string;
}

/**
 * Cuts a text into parts of at most `limit` encoded bytes. A function of the text alone, since the hash of an answer is
 * over its parts: neither the renderer nor the machine may change where it is cut.
 */
export function splitText(text: string, limit: number = PART_BYTES): string[] {
  return cutText(text, limit).map(whole);
}

/** The first part of a text, however long it is. */
export function firstPart(text: string, limit: number = PART_BYTES): string {
  return whole(nextCut(text, 0, undefined, '', limit).cut);
}

/** The same as {@link splitText}, telling the text's own from what was added: the pieces joined give the text back. */
export function cutText(text: string, limit: number = PART_BYTES): Cut[] {
  const cuts: Cut[] = [];
  let at = 0;
  let open: Fence | undefined;
  let before = '';
  do {
    const next = nextCut(text, at, open, before, limit);
    cuts.push(next.cut);
    at += next.cut.text.length;
    ({ open, before } = next);
  } while (at < text.length);
  return cuts;
}

const whole = ({ before, text, after }: Cut): string => before + text + after;

/** A line of a window: where it ends, and the fence that is open then. */
interface Line {
  start: number;
  end: number;
  blank: boolean;
  open: Fence | undefined;
}

function nextCut(text: string, from: number, open: Fence | undefined, before: string, limit: number) {
  // No UTF-16 unit takes less than a byte.
  const window = text.slice(from, from + limit + 1);
  const room = limit - encodedBytes(before);
  if (from + window.length === text.length && encodedBytes(window) <= room) {
    return { cut: { before, text: window, after: '' }, open: undefined, before: '' };
  }
  const most = longestPrefix(window, room - CLOSING_BYTES);
  const lines = linesOf(window, most, open);
  const end = atFence(window, boundary(window, most, lines), lines, open);
  const still = lines.findLast((line) => line.end <= end)?.open ?? (isInFirst(lines, end) ? open : undefined);
  const isMidLine = window[end - 1] !== '\n';
  const cut = { before, text: window.slice(0, end), after: still ? closing(still, isMidLine) : '' };
  return { cut, open: still, before: still ? reopening(still, isMidLine) : '' };
}

/** No line has ended up to there. */
const isInFirst = (lines: Line[], end: number): boolean => !lines.some((line) => line.end <= end);

/** The length in UTF-16 units of the longest prefix within `limit`; 1 at least. */
function longestPrefix(text: string, limit: number): number {
  let low = 1;
  let high = Math.max(1, Math.min(text.length, limit));
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (encodedBytes(text.slice(0, middle)) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The lines that begin up to `most`; the last may end behind it. */
function linesOf(window: string, most: number, open: Fence | undefined): Line[] {
  const lines: Line[] = [];
  for (let start = 0; start <= most && start < window.length;) {
    const found = window.indexOf('\n', start);
    const end = found < 0 ? window.length : found + 1;
    const line = window.slice(start, found < 0 ? end : found);
    open = afterLine(line, open);
    lines.push({ start, end, blank: line.trim() === '', open });
    start = end;
  }
  return lines;
}

/** The last end of a paragraph, line, sentence or word that leaves the part more than half full, in that order. */
function boundary(window: string, most: number, lines: Line[]): number {
  const half = most / 2;
  const whole = lines.filter(({ end }) => end <= most && end > half);
  const line =
    whole.findLast(({ blank, open }) => blank && open === undefined) ??
    whole.findLast(({ blank }) => blank) ??
    whole.at(-1);
  if (line !== undefined) return line.end;
  const range = { from: Math.floor(half), to: most };
  const end = lastEnd(window, range, SENTENCE_END) ?? lastEnd(window, range, WORD_END);
  return end ?? Math.max(1, graphemeEnd(window, most));
}

function lastEnd(window: string, { from, to }: { from: number; to: number }, what: RegExp) {
  const ends = [...window.slice(from, to).matchAll(what)].map(
    (match) => from + match.index + match[0].length,
  );
  // A mark that combines with a space belongs to it.
  return ends.findLast((end) => graphemeEnd(window, end) === end);
}

/** Moves a cut that would leave a fence without code, or that is within the line of a fence. */
function atFence(window: string, end: number, lines: Line[], open: Fence | undefined): number {
  const fenceOf = (index: number) => (index < 0 ? open : lines[index]?.open);
  const within = lines.findIndex((line) => line.start < end && end < line.end);
  const isFenceLine = within >= 0 && fenceOf(within) !== fenceOf(within - 1);
  const start = lines[within]?.start ?? 0;
  if (isFenceLine && start > 0) return atFence(window, start, lines, open);
  const last = lines.findIndex((line) => line.end === end);
  const fence = fenceOf(last);
  if (last < 0 || fence === undefined) return end;
  const opener = lines[last];
  if (opener !== undefined && fence !== fenceOf(last - 1) && opener.start > 0) return opener.start;
  return closingLineEnd(window, end, fence) ?? end;
}

/** Where the next line ends, if that closes the fence: it is taken along. */
function closingLineEnd(window: string, at: number, fence: Fence): number | undefined {
  const found = window.indexOf('\n', at);
  const end = found < 0 ? window.length : found + 1;
  const line = window.slice(at, end);
  if (encodedBytes(line) > CLOSING_BYTES) return undefined;
  return afterLine(line.replace(/\n$/, ''), fence) === undefined ? end : undefined;
}
