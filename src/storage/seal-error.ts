/**
 * The key that was given does not fit what is stored, or none was given. Nothing has been written, and nothing moved.
 *
 * - `missing-key`: it is encrypted, and there is no key.
 * - `wrong-key`: it is encrypted with another key.
 * - `not-encrypted`: there is a key, and it was stored without.
 * - `half-changed`: a change of the key has not come to its end.
 */
export class SealError extends Error {
  readonly code = 'storage-key';

  constructor(
    readonly why: 'missing-key' | 'wrong-key' | 'not-encrypted' | 'half-changed',
    readonly place: string,
  ) {
    super(`${place} ${WORDS[why]}`);
    this.name = 'SealError';
  }
}

const WORDS = {
  'missing-key': 'is encrypted: set UNDERSTUDY_STORAGE_KEY_FILE to the file with its key',
  'wrong-key':
    'is encrypted with another key than UNDERSTUDY_STORAGE_KEY: give the right one; to change it, run `understudy storage rotate-key` with the earlier one in UNDERSTUDY_STORAGE_KEY_PREVIOUS',
  'not-encrypted':
    'was stored without encryption, and UNDERSTUDY_STORAGE_KEY is set: encrypt it with `understudy storage rotate-key`, or take the key away',
  'half-changed':
    'is in the middle of a change of its key: run `understudy storage rotate-key` again, or set UNDERSTUDY_STORAGE_KEY_PREVIOUS to the earlier key as well',
};
