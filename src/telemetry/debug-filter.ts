/**
 * The usual meaning of DEBUG: names separated by commas or spaces, `*` for any run of characters, a leading
 * `-` takes names out again. `undefined` and `''` show nothing.
 */
export function debugFilter(pattern: string | undefined): (name: string) => boolean {
  const words = (pattern ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const shown = words.filter((word) => !word.startsWith('-')).map(toRegExp);
  const hidden = words.filter((word) => word.startsWith('-')).map((word) => toRegExp(word.slice(1)));
  return (name) => shown.some((rule) => rule.test(name)) && !hidden.some((rule) => rule.test(name));
}

function toRegExp(word: string): RegExp {
  const literal = word.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`);
}
