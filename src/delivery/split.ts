/** Bytes of UTF-8 JSON that one part's text may take. An edit carries its text twice, so that this stays well
 * below a homeserver's 65,536 bytes an event with marks, relations and signatures added (PROTOCOL D3). */
export const PART_BYTES = 15_000;

const encodedBytes = (text: string) => Buffer.byteLength(JSON.stringify(text)) - 2;

/**
 * Cuts a text into parts of at most `limit` encoded bytes, at the last paragraph, line or word boundary that
 * leaves a part at least half full, else between two code points. Joining the parts gives the text back.
 */
export function splitText(text: string, limit: number = PART_BYTES): string[] {
  const parts: string[] = [];
  let rest = text;
  while (encodedBytes(rest) > limit) {
    const most = longestPrefix(rest, limit);
    const cut = boundary(rest, most);
    parts.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  if (rest !== '' || parts.length === 0) parts.push(rest);
  return parts;
}

/** The length in UTF-16 units of the longest prefix within `limit` that does not cut a code point. */
function longestPrefix(text: string, limit: number): number {
  let low = 1;
  let high = Math.min(text.length, limit);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (encodedBytes(text.slice(0, middle)) <= limit) low = middle;
    else high = middle - 1;
  }
  return cutsCodePoint(text, low) ? Math.max(low - 1, 2) : low;
}

function cutsCodePoint(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}

function boundary(text: string, most: number): number {
  for (const mark of ['\n\n', '\n', ' ']) {
    const at = text.lastIndexOf(mark, most - mark.length);
    if (at + mark.length > most / 2 && at >= 0) return at + mark.length;
  }
  return most;
}
