import { createHash } from 'node:crypto';

/** By what share a pause may be longer. */
const SHARE = 0.5;

/**
 * A pause, milliseconds, up to half as long again: another one for each answer and each of its pauses, the same whoever
 * computes it. Answers that were asked for at one instant would else be refused together, again and again.
 */
export function spread(ms: number, source: string, pause: number): number {
  const hash = createHash('sha256')
    .update(JSON.stringify([source, pause]))
    .digest();
  return ms * (1 + (SHARE * hash.readUInt32BE()) / 2 ** 32);
}
