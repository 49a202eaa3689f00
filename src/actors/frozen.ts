import { MAX_DEPTH } from '../documents/json.js';
import type { Position } from './position.js';

/**
 * {@link isJson}, and freezes what it looks at, in the one walk: contexts are given by reference to callers and to the
 * next assignment, and none of them may change one. Whoever tries gets a TypeError.
 */
export function isFrozenJson(value: unknown, depth = MAX_DEPTH): boolean {
  if (typeof value !== 'object') {
    return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  }
  if (value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      if (!isFrozenJson(value[index], depth - 1)) return false;
    }
  } else {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false;
    const object = value as Record<string, unknown>;
    for (const key of Object.keys(object)) if (!isFrozenJson(object[key], depth - 1)) return false;
  }
  Object.freeze(value);
  return true;
}

/** Freezes the state and the context of a position. */
export function frozenPosition(position: Position): Position {
  if (position.status === 'active') {
    isFrozenJson(position.snapshot.value);
    isFrozenJson(position.snapshot.context);
  } else if (position.status === 'quarantined' && position.last !== undefined) {
    isFrozenJson(position.last);
  }
  return position;
}
