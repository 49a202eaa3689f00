/** A code fence that is open (CommonMark, "Fenced code blocks"), as far as it takes to close it and open it again. */
export interface Fence {
  /** How many `>` stand before each of its lines. */
  quotes: number;
  /** Columns between them and its marker; in a list, those of the item. */
  indent: number;
  marker: string;
  language: string;
}

/** What is longer than this in a line that opens a fence is no fence to us, so that what is added stays short. */
const MOST = { quotes: 10, indent: 40, marker: 40, language: 40 };
/** Encoded bytes that closing a fence, or the line that closes it, takes at most. */
export const CLOSING_BYTES = 120;

/** The fence that is open after a line (without its line end), if one is. */
export function afterLine(line: string, open: Fence | undefined): Fence | undefined {
  if (open === undefined) return opened(line);
  const { quotes, text } = lead(line, open.quotes);
  // A quote that ends takes its fence along.
  if (quotes < open.quotes) return opened(line);
  return closes(text, open) ? undefined : open;
}

/** The line that closes a fence; the line before it ends first where the cut is within it. */
export function closing(fence: Fence, isMidLine: boolean): string {
  return `${isMidLine ? '\n' : ''}${before(fence)}${fence.marker}`;
}

/** The line that opens it again, and what a line needs that goes on behind the cut. */
export function reopening(fence: Fence, isMidLine: boolean): string {
  const opener = `${'> '.repeat(fence.quotes)}${container(fence.indent)}${fence.marker}${fence.language}\n`;
  return isMidLine ? opener + before(fence) : opener;
}

const before = ({ quotes, indent }: Fence): string => '> '.repeat(quotes) + ' '.repeat(indent);

/** Four columns or more are a fence in a list only: items of that depth. */
const container = (columns: number): string =>
  columns < 4 ? ' '.repeat(columns) : '- '.repeat(columns >> 1) + ' '.repeat(columns & 1);

function opened(line: string): Fence | undefined {
  const { quotes, columns, text } = lead(line, MOST.quotes + 1, true);
  const marker = markerOf(text);
  const info = text.slice(marker.length);
  if (marker.length < 3 || (marker.startsWith('`') && info.includes('`'))) return undefined;
  if (quotes > MOST.quotes || columns > MOST.indent || marker.length > MOST.marker) return undefined;
  const language = /^[ \t]*([\w+#./-]*)/.exec(info)?.[1] ?? '';
  return { quotes, indent: columns, marker, language: language.length > MOST.language ? '' : language };
}

function closes(text: string, { marker }: Fence): boolean {
  const run = markerOf(text);
  return run[0] === marker[0] && run.length >= marker.length && text.slice(run.length).trim() === '';
}

function markerOf(text: string): string {
  const first = text[0];
  if (first !== '`' && first !== '~') return '';
  let length = 1;
  while (text[length] === first) length += 1;
  return text.slice(0, length);
}

/** Reads the quotes (at most so many), columns and, where asked, markers of list items before a line's text. */
function lead(line: string, mostQuotes: number, lists = false) {
  let quotes = 0;
  let columns = 0;
  let at = 0;
  while (at < line.length) {
    const char = line[at];
    if (char === ' ' || char === '\t') columns += char === ' ' ? 1 : 4 - (columns % 4);
    else if (char === '>' && quotes < mostQuotes) {
      quotes += 1;
      columns = 0;
      if (line[at + 1] === ' ') at += 1;
    } else {
      const item = lists ? /^(?:[-*+]|\d{1,9}[.)])(?=[ \t])/.exec(line.slice(at, at + 11))?.[0] : undefined;
      if (item === undefined) break;
      columns += item.length;
      at += item.length - 1;
    }
    at += 1;
  }
  return { quotes, columns, text: line.slice(at) };
}
