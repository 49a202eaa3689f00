/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Nesting that a field's value may have; more is malformed, so that no peer can exhaust our stack. */
export const MAX_DEPTH = 32;

/** True for plain JSON data: finite numbers, plain objects and arrays, no deeper than the limit. */
export function isJson(value: unknown, depth = MAX_DEPTH): value is Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth === 0) return false;
  if (Array.isArray(value)) return Array.from(value).every((inner) => isJson(inner, depth - 1));
  return isPlain(value) && Object.values(value).every((inner) => isJson(inner, depth - 1));
}

/** Of no class: a Date or a Map has no members of its own, and JSON would make something else of it. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * JSON with the keys of every object sorted by UTF-16 code unit: equal values have equal text on every
 * replica, so that text may decide ties and equality.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonicalJson).join(',')}]`;
  const object = value as { readonly [key: string]: Json };
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] ?? null)}`);
  return `{${members.join(',')}}`;
}
