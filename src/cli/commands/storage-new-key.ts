import { newSealingKey } from '../../storage/seal.js';

/** `understudy storage new-key`: 32 random bytes, for UNDERSTUDY_STORAGE_KEY_FILE. */
export function run(): number {
  process.stdout.write(`${newSealingKey()}\n`);
  return 0;
}
