/**
 * - `bad-options`: a namespace cannot be opened like that; the message says what to change.
 * - `already-open`: this process has the namespace open; use that store, or close it first.
 * - `bad-key`: a key is empty, too long, or no text.
 * - `bad-value`: a value has not the namespace's shape, is no JSON, or is too large.
 * - `full`: a durable namespace holds all that it may; consume or delete entries, or open it with more `maxEntries`.
 */
export type KeyedStoreErrorCode = 'bad-options' | 'already-open' | 'bad-key' | 'bad-value' | 'full';

export class KeyedStoreError extends Error {
  constructor(
    readonly code: KeyedStoreErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'KeyedStoreError';
  }
}
