/** A character that goes on for longer than this (hundreds of combining marks) is cut all the same. */
const MOST_UNITS = 256;

const EXTENDS =
  /^(?:\p{M}|\p{Emoji_Modifier}|\u200c|\u200d|\u0e33|\u0eb3|[\uff9e\uff9f]|[\u{e0020}-\u{e007f}])/u;
/** Joiners, the viramas that join consonants, and signs that belong to what follows. */
const JOINS_NEXT =
  /(?:\u200d|\u094d|\u09cd|\u0acd|\u0b4d|\u0c4d|\u0d4d|[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2])\p{M}*$/u;
const HANGUL = /[\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff]/;
const REGIONAL = /^\p{Regional_Indicator}/u;

/**
 * The last place up to `at` where a text may be cut without taking apart what a person sees as one character
 * (UAX #29). Written out, because `Intl.Segmenter` cuts elsewhere with another ICU, and parts must be the same on
 * every replica (PROTOCOL D3); where a rule differs between versions, this keeps together.
 */
export function graphemeEnd(text: string, at: number): number {
  for (let end = at; end > Math.max(0, at - MOST_UNITS); end -= 1) if (!joins(text, end)) return end;
  return splitsPair(text, at) ? at - 1 : at;
}

function joins(text: string, at: number): boolean {
  if (at >= text.length) return false;
  if (splitsPair(text, at)) return true;
  const next = text.slice(at, at + 2);
  const last = text[at - 1] ?? '';
  if (last === '\r' && next.startsWith('\n')) return true;
  if (EXTENDS.test(next) || JOINS_NEXT.test(text.slice(Math.max(0, at - 8), at))) return true;
  if (HANGUL.test(last) && HANGUL.test(next[0] ?? '')) return joinsHangul(last, next[0] ?? '');
  return REGIONAL.test(next) && flagsBefore(text, at) % 2 === 1;
}

const splitsPair = (text: string, at: number): boolean =>
  /[\ud800-\udbff]/.test(text[at - 1] ?? '') && /[\udc00-\udfff]/.test(text[at] ?? '');

/** A syllable ends before a leading consonant or a whole syllable, unless a leading consonant stands before it. */
function joinsHangul(last: string, next: string): boolean {
  const isLeading = (char: string) => /[\u1100-\u115f\ua960-\ua97f]/.test(char);
  return isLeading(last) || /[\u1160-\u11ff\ud7b0-\ud7ff]/.test(next);
}

function flagsBefore(text: string, at: number): number {
  let count = 0;
  for (let end = at; REGIONAL.test(text.slice(end - 2, end)); end -= 2) count += 1;
  return count;
}
