import type { ProblemCode } from './errors.js';

/** Machine ids, state names, event types and effect names begin so; they belong to XState and to us. */
const RESERVED = /^(understudy|xstate)\./u;

const PATTERNS = {
  /** In actor keys and in paths of states, so neither white space nor `/`, `.`, `#`. */
  identifier: { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/u, words: 'letters, digits, "_" and "-"' },
  /** Event types and effects may be grouped by dots; `*` would make a wildcard of an event type. */
  dotted: { pattern: /^[A-Za-z][A-Za-z0-9_.-]{0,99}$/u, words: 'letters, digits, "_", "-" and "."' },
} as const;

/** Every name that an object has without being given it: XState and validators look names up with and without `in`. */
const INHERITED = new Set(Object.getOwnPropertyNames(Object.prototype));

export const isInherited = (name: string): boolean => INHERITED.has(name);

/** What is wrong with a name, or undefined. */
export function nameFault(
  kind: keyof typeof PATTERNS,
  name: string,
): { code: ProblemCode; what: string } | undefined {
  if (RESERVED.test(name)) {
    return {
      code: 'reserved-name',
      what: `"${name}" is reserved: names may not begin with "understudy." or "xstate."`,
    };
  }
  const { pattern, words } = PATTERNS[kind];
  if (!pattern.test(name)) {
    return { code: 'bad-name', what: `"${name}" is no name: it begins with a letter and has only ${words}` };
  }
  return undefined;
}

/** `; did you mean "…"?` for the nearest of the names that could have been meant, or nothing. */
export function didYouMean(name: string, names: Iterable<string>): string {
  let best: { name: string; distance: number } | undefined;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (best === undefined || distance < best.distance) best = { name: candidate, distance };
  }
  const near = best !== undefined && best.distance <= Math.floor(name.length * 0.4);
  return near ? `; did you mean "${best?.name}"?` : '';
}

/** Levenshtein's distance: single signs put in, taken out or replaced. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
