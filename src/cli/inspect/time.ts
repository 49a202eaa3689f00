import { duration } from '../config/values.js';
import { wrongSetting } from '../user-error.js';

/** A time in the words of a person: ISO 8601, milliseconds since 1970, or a length of time before now, as in `-5m`. */
export function timeFrom(text: string, now: number): number {
  if (/^\d{10,16}$/u.test(text)) return Number(text);
  if (text.startsWith('-')) {
    const ago = duration.safeParse(text.slice(1));
    if (ago.success) return now - ago.data;
  }
  const iso = /^\d{4}-\d{2}-\d{2}/u.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(iso)) return iso;
  throw wrongSetting(
    `--at must be a time such as 2026-03-01T12:00:00Z, -5m (five minutes ago) or milliseconds since 1970, and is ${JSON.stringify(text)}`,
  );
}
