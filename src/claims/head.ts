import { z } from 'zod';
import { claim } from './claim.js';
import { ballot, relayId } from './token.js';

/** A cluster has fewer relays; what is more was made up. */
export const MOST_OTHERS = 64;

/** What a relay keeps of itself as an authority, beside the claims. */
export const authorityHead = z.object({
  version: z.literal(1),
  relay: relayId,
  /** New at every start: a process that finds another's here no longer owns what it writes to. */
  run: z.string(),
  /** The highest ballot that it has heard of; it answers for no lower one. */
  heard: ballot.optional(),
  /** Other relays that it has heard of since it took up one, each with its highest: any of them may hold claims. */
  others: z.array(ballot).max(MOST_OTHERS).default([]),
  /** The last one that named this relay, and that it took up. */
  taken: ballot.optional(),
  /** No token above this was handed out. */
  reserved: z.int().nonnegative(),
  /** The authority's own time, milliseconds: how long it has run in all. */
  time: z.number().nonnegative(),
  silentUntil: z.number().nonnegative(),
});
export type AuthorityHead = z.infer<typeof authorityHead>;

/** One part of the claims, as it is kept. */
export const keptPart = z.object({
  version: z.literal(1),
  time: z.number().nonnegative(),
  claims: z.array(claim),
});
export type KeptPart = z.infer<typeof keptPart>;

/** What is kept as bytes, or undefined: no bytes, or not of this version. */
export function readKept<T>(schema: z.ZodType<T>, bytes: Uint8Array | undefined): T | undefined {
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return schema.safeParse(value).data;
}

export const bytesOf = (kept: AuthorityHead | KeptPart): Uint8Array =>
  Buffer.from(`${JSON.stringify(kept)}\n`);
