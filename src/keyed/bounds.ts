import { canonicalJson, isJson, type Json } from '../documents/json.js';
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

/** @throws {KeyedStoreError} `bad-value`. */
export function assertValue(namespace: string, value: unknown): asserts value is Json {
  if (!isJson(value)) throw new KeyedStoreError('bad-value', `a value of ${namespace} is plain JSON`);
  const bytes = Buffer.byteLength(canonicalJson(value));
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new KeyedStoreError(
    'bad-value',
    `a value of ${namespace} has at most ${MAX_VALUE_BYTES} bytes, this one has ${bytes}`,
  );
}
