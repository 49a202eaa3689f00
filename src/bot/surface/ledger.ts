import { z } from 'zod';
import type { RoomEvent } from '../../matrix/homeserver.js';
import { isTombstone } from './tombstone.js';

/** A write-once entry in a person's space: which room a source made (PROTOCOL P3). */
export const LEDGER_TYPE = 'dev.understudy.ledger';

export type LedgerEntry =
  | { source: string; room: string; /** Given in an earlier space. */ number?: number }
  | { source: string; dropped: true };

/** The winning entries of a person's ledger, in timeline order. */
export interface Ledger {
  /** Source to its winning entry: the first of our own user in the timeline. */
  entries: Map<string, LedgerEntry>;
  /** The chat number of a source: 1 for the person's first room, else one more than all before it. */
  number(source: string): number | undefined;
  /** The highest number that it gave or was told of; 1 where there is none. */
  highest: number;
}

const chatNumber = z.int().min(1).max(1_000_000_000);

/**
 * Reads the ledger out of a space's timeline. Only entries of our own user count; of two for one source the first
 * wins, and none after the space's tombstone: another space has the ledger then. `after` says how many numbers were
 * given before this space was. No number is ever changed or given again, because the timeline only grows.
 */
export function readLedger(timeline: readonly RoomEvent[], self: string): Ledger {
  const entries = new Map<string, LedgerEntry>();
  const numbers = new Map<string, number>();
  let highest = 1;
  for (const event of timeline) {
    if (isTombstone(event)) break;
    if (event.type !== LEDGER_TYPE || event.sender !== self || event.state_key !== undefined) continue;
    const { source, room, dropped } = event.content;
    const after = chatNumber.safeParse(event.content['after']);
    if (after.success) highest = Math.max(highest, after.data);
    if (typeof source !== 'string' || entries.has(source)) continue;
    if (typeof room === 'string') {
      const given = chatNumber.safeParse(event.content['number']);
      const number = given.success ? given.data : isFirst(source) ? 1 : highest + 1;
      entries.set(source, { source, room, ...(given.success && { number }) });
      numbers.set(source, number);
      highest = Math.max(highest, number);
    } else if (dropped === true) entries.set(source, { source, dropped });
  }
  return { entries, number: (source) => numbers.get(source), highest };
}

/** The source of a person's first chat room, C1 (PROTOCOL P4). */
export const onboardingSource = (mxid: string) => `onboarding:${mxid}`;

/** Names the creation of a person's space, and how many numbers were given before it; never an entry of its own. */
export const spaceSource = (person: string) => `${onboardingSource(person)}/space`;
const isFirst = (source: string) => source.startsWith('onboarding:');
