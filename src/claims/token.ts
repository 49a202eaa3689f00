import { z } from 'zod';

/** A relay's lasting name, made at its first start. Of one length, so that tokens can be compared as text. */
export const relayId = z.string().regex(/^relay-[0-9a-f]{18}$/);

/**
 * Which relay decides on claims, from when on: a term that rises with every change, and the relay. Two changes made
 * apart may have one term; the relay's name then decides, so that no two relays ever hand out one token.
 */
export const ballot = z.object({ term: z.int().min(1).max(999_999_999), relay: relayId });
export type Ballot = z.infer<typeof ballot>;

/**
 * What a holder shows to whatever it works on (PROTOCOL K1). Of two holders of one key the later has the higher token,
 * so that a resource that remembers the highest it has seen, and refuses lower ones, is never served by two.
 */
export const fencingToken = ballot.extend({
  counter: z
    .int()
    .min(1)
    .max(2 ** 48),
});
export type FencingToken = z.infer<typeof fencingToken>;

export function compareBallots(one: Ballot, other: Ballot): number {
  if (one.term !== other.term) return one.term - other.term;
  return one.relay < other.relay ? -1 : one.relay > other.relay ? 1 : 0;
}

/** Below 0: the first is the older one. */
export function compareTokens(one: FencingToken, other: FencingToken): number {
  return compareBallots(one, other) || one.counter - other.counter;
}

/** The token as text that sorts as tokens do, for a resource that keeps one column. */
export function tokenText({ term, relay, counter }: FencingToken): string {
  return `${String(term).padStart(9, '0')}.${relay}.${String(counter).padStart(15, '0')}`;
}
