import type { RoomEvent } from '../../matrix/homeserver.js';

/** A write-once entry in a person's space: which room a source made (PROTOCOL P3). */
export const LEDGER_TYPE = 'dev.understudy.ledger';

export type LedgerEntry = { source: string; room: string } | { source: string; dropped: true };

/** The winning entries of a person's ledger, in timeline order. */
export interface Ledger {
  /** Source to its winning entry: the first of our own user in the timeline. */
  entries: Map<string, LedgerEntry>;
  /** The chat number of a source: 1 for the person's first room, else 1 + its rank among the other rooms. */
  number(source: string): number | undefined;
}

/**
 * Reads the ledger out of a space's timeline. Only entries of our own user count; of two for one source the first
 * wins. No number is ever changed or given again, because the timeline only grows.
 */
export function readLedger(timeline: readonly RoomEvent[], self: string): Ledger {
  const entries = new Map<string, LedgerEntry>();
  for (const event of timeline) {
    if (event.type !== LEDGER_TYPE || event.sender !== self || event.state_key !== undefined) continue;
    const { source, room, dropped } = event.content;
    if (typeof source !== 'string' || entries.has(source)) continue;
    if (typeof room === 'string') entries.set(source, { source, room });
    else if (dropped === true) entries.set(source, { source, dropped });
  }
  const numbered = [...entries.values()].filter((entry) => 'room' in entry && !isFirst(entry.source));
  return {
    entries,
    number(source) {
      if (isFirst(source)) return entries.has(source) ? 1 : undefined;
      const rank = numbered.findIndex((entry) => entry.source === source);
      return rank < 0 ? undefined : rank + 2;
    },
  };
}

/** The source of a person's first chat room, C1 (PROTOCOL P4). */
export const onboardingSource = (mxid: string) => `onboarding:${mxid}`;
const isFirst = (source: string) => source.startsWith('onboarding:');
