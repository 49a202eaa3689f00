import { canonicalJson, isJson, type Json } from '../documents/json.js';
import type { z } from 'zod';
import { MAX_AHEAD_MS } from '../documents/stamp.js';
import { KeyedStoreError } from './errors.js';

/** UTF-8 bytes. */
export const MAX_KEY_BYTES = 1024;
/** UTF-8 bytes of a value's JSON. */
export const MAX_VALUE_BYTES = 4096;
export const MAX_ENTRIES = 100_000;

/** @throws {KeyedStoreError} `bad-key`. */
export function assertKey(namespace: string, key: string): void {
  const fault = faultOfKey(key);
  if (fault !== undefined) throw new KeyedStoreError('bad-key', `a key of ${namespace} ${fault}`);
}

export function faultOfKey(key: unknown): string | undefined {
  if (typeof key !== 'string' || key === '') return 'is a text that is not empty';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `has at most ${MAX_KEY_BYTES} bytes`;
  // Half a character: UTF-8 has no form for it, and so no document.
  return /\p{Surrogate}/u.test(key) ? 'is well-formed Unicode' : undefined;
}

/**
 * A value as it will be stored.
 *
 * @throws {KeyedStoreError} `bad-value`.
 */
export function checkedValue<V>(namespace: string, shape: z.ZodType<V>, value: unknown): V & Json {
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, code }) => `${path.join('.') || 'value'}: ${code}`);
    throw new KeyedStoreError(
      'bad-value',
      `a value of ${namespace} has another shape (${faults.join(', ')})`,
    );
  }
  const { data } = parsed;
  if (!isJson(data)) throw new KeyedStoreError('bad-value', `a value of ${namespace} is plain JSON`);
  const bytes = Buffer.byteLength(canonicalJson(data));
  if (bytes <= MAX_VALUE_BYTES) return data;
  throw new KeyedStoreError(
    'bad-value',
    `a value of ${namespace} has at most ${MAX_VALUE_BYTES} bytes, this one has ${bytes}`,
  );
}

/** The time of an entry. A homeserver's time is not trusted: what is no time is long ago, and nothing is far ahead. */
export function checkedTime(at: number, now: number): number {
  return Number.isFinite(at) && at > 0 ? Math.min(Math.floor(at), Math.floor(now) + MAX_AHEAD_MS) : 0;
}
