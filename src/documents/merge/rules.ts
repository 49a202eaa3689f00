import type { Entry } from '../record.js';
import { higherStampWins } from './higher-stamp-wins.js';
import { lowestStampWins } from './lowest-stamp-wins.js';
import { highestNumberWins, lowestNumberWins } from './by-number.js';
import { neverCleared } from './never-cleared.js';

/** Every way two concurrent writes of one field can merge, by the name that the tables and STATE.md use. */
export const mergeRules = {
  higherStampWins,
  lowestStampWins,
  lowestNumberWins,
  highestNumberWins,
  neverCleared,
} as const satisfies Record<string, (a: Entry, b: Entry) => Entry>;

export type MergeRule = keyof typeof mergeRules;
