import type { ExitCode } from '../user-error.js';
import { codes } from './codes.js';
import { isTrouble, rank, type Finding } from './finding.js';

/** Of equally bad things the one that may be the cause of the others: settings, then data, then who is out of reach. */
const order: readonly ExitCode[] = [2, 1, 3];

/**
 * 0 when nothing is worse than a note; else what the worst finding stands for: 1 the data, 2 a setting, 3 something
 * unreachable.
 */
export function exitCodeOf(findings: readonly Finding[]): 0 | ExitCode {
  const troubles = findings.filter(isTrouble);
  const worst = Math.max(0, ...troubles.map(rank));
  const exits = new Set(troubles.filter((one) => rank(one) === worst).map(({ code }) => codes[code].exit));
  return order.find((exit) => exits.has(exit)) ?? 0;
}
