import type { Keyring } from '../../storage/sealed-chunks.js';
import type { SettingsReader } from './reader.js';
import { storageKey, storageKeyPrevious } from './settings.js';

/** The keys that what is stored is encrypted with; none when it is not. */
export function storageKeys(read: SettingsReader): Keyring {
  const [current, previous] = [read.optional(storageKey), read.optional(storageKeyPrevious)];
  return { ...(current && { current }), ...(previous && { previous }) };
}
