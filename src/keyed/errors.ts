/**
 * - `bad-options`: a namespace cannot be opened like that; the message says what to change.
 * - `already-open`: this process has the namespace open; use that store, or close it first.
 * - `bad-key`: a key is empty, too long, or no text.
 * - `bad-value`: a value has not the namespace's shape, is no JSON, or is too large.
 * - `full`: a durable namespace holds all that it may; consume or delete entries, or open it with more `maxEntries`.
 * - `no-authority`: nobody decided on a claim in time, and its namespace waits; nothing was done that counts.
 * - `stale`: the token of a claim is not the one that stands: another was given the key since, or it ended.
 * - `not-owner`: another replica holds that claim.
 */
export type KeyedStoreErrorCode =
  'bad-options' | 'already-open' | 'bad-key' | 'bad-value' | 'full' | 'no-authority' | 'stale' | 'not-owner';

export class KeyedStoreError extends Error {
  constructor(
    readonly code: KeyedStoreErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'KeyedStoreError';
  }
}
