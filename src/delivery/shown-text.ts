/** Control characters but tab and line ends, and what no character is. */
const NO_TEXT = /[^\P{Cc}\t\n\r\u0085]|[\ufdd0-\ufdef\ufffe\uffff]/gu;
/** Signs that turn the order of what follows, behind which text can hide. Marks that only say a direction may stay. */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;

/** Without halves of surrogate pairs, which no homeserver can store as text. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd');

/** A text as it may be shown: what cannot be seen and changes what is seen is taken out. */
export function shownText(text: string): string {
  return wellFormed(text).replace(NO_TEXT, '\ufffd').replace(TURNS, '');
}
