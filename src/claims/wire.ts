import { z } from 'zod';
import { claim, claimAddress, claimOwner, PARTS } from './claim.js';
import { LONGEST_KEEP_MS, LONGEST_LEASE_MS, SHORTEST_LEASE_MS } from './limits.js';
import { ballot, fencingToken } from './token.js';

const lease = z.int().min(SHORTEST_LEASE_MS).max(LONGEST_LEASE_MS);
const keep = z.int().min(SHORTEST_LEASE_MS).max(LONGEST_KEEP_MS);
const part = z
  .int()
  .min(0)
  .max(PARTS - 1);

/** As the asker knows it: who is the authority, and the highest token that it has heard of. */
const known = { ballot, seen: fencingToken.optional() };

/** A claim on its way to another relay: what is left of it, milliseconds, in place of a time of the old one's clock. */
const movedClaim = claim.omit({ until: true }).extend({ leftMs: z.number().nonnegative() });
export type MovedClaim = z.infer<typeof movedClaim>;

/** What a replica asks of a relay. */
export const claimRequest = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('claim'),
    ...known,
    ...claimAddress,
    worker: claimOwner.shape.worker,
    request: claim.shape.request,
    leaseMs: lease,
  }),
  z.object({ op: z.literal('renew'), ...known, ...claimAddress, token: fencingToken, leaseMs: lease }),
  z.object({ op: z.literal('commit'), ...known, ...claimAddress, token: fencingToken, keepMs: keep }),
  z.object({ op: z.literal('release'), ...known, ...claimAddress, token: fencingToken }),
  // Who the authority is, to a relay that nobody may have told: it may have been down when it was changed.
  z.object({ op: z.literal('hear'), ballot }),
  z.object({ op: z.literal('holders') }),
  // Another relay becomes the authority: the old one is sealed, gives its claims part by part, the new one takes them.
  // `from`: the ballot that the old one is believed to hold; it takes it up first if it has not heard of it.
  z.object({ op: z.literal('seal'), from: ballot, next: ballot }),
  z.object({ op: z.literal('give'), next: ballot, part }),
  z.object({ op: z.literal('take'), next: ballot, part, claims: z.array(movedClaim) }),
  z.object({
    op: z.literal('assume'),
    next: ballot,
    /** Milliseconds for which the old one would still have been silent; undefined: there is no old one to ask. */
    silentMs: z.number().nonnegative().optional(),
  }),
]);
export type ClaimRequest = z.infer<typeof claimRequest>;

/**
 * - `held`, `consumed`: by another, or by this one earlier.
 * - `expired`: the lease that this very request was given is over.
 * - `stale`: the token is not the one that stands.
 * - `not-owner`: the token is another replica's.
 * - `full`: as many claims as this relay keeps.
 * - `lease-too-long`: this relay gives none of that length.
 * - `silent`: it is the authority, and waits until leases that it does not know of are over.
 * - `not-authority`: another relay is, or none.
 * - `incomplete`: not all parts were taken over.
 * - `busy`, `unavailable`: too many requests at once, or its disk does not answer.
 */
export const claimRefusals = [
  'held',
  'consumed',
  'expired',
  'stale',
  'not-owner',
  'full',
  'lease-too-long',
  'silent',
  'not-authority',
  'incomplete',
  'busy',
  'unavailable',
] as const;
export type ClaimRefusal = (typeof claimRefusals)[number];

const holder = z.object({
  ...claimAddress,
  owner: claimOwner,
  token: fencingToken,
  leftMs: z.number().nonnegative(),
});

export const claimAnswer = z.discriminatedUnion('is', [
  z.object({
    is: z.literal('granted'),
    token: fencingToken,
    /** Tokens are set aside up to here: whoever keeps it can tell a relay whose disk is an older one. */
    reserved: fencingToken.shape.counter,
  }),
  z.object({ is: z.literal('heard') }),
  z.object({ is: z.literal('renewed') }),
  z.object({ is: z.literal('committed') }),
  z.object({ is: z.literal('released') }),
  z.object({
    is: z.literal('holders'),
    relay: ballot.shape.relay,
    authority: ballot.optional(),
    silentMs: z.number(),
    held: z.int(),
    consumed: z.int(),
    /** The first of those that are held. */
    holders: z.array(holder),
  }),
  z.object({
    is: z.literal('sealed'),
    silentMs: z.number().nonnegative(),
    /** Relays for which it was sealed before, or of which it heard: each may have taken its claims on. */
    others: z.array(ballot),
  }),
  z.object({ is: z.literal('given'), claims: z.array(movedClaim) }),
  z.object({ is: z.literal('taken') }),
  z.object({ is: z.literal('assumed'), silentMs: z.number().nonnegative() }),
  z.object({
    is: z.literal('refused'),
    reason: z.enum(claimRefusals),
    /** The authority as this relay knows it. */
    authority: ballot.optional(),
    /** When it may be worth asking again, milliseconds. */
    waitMs: z.number().nonnegative().optional(),
  }),
]);
export type ClaimAnswer = z.infer<typeof claimAnswer>;

export function refused(
  reason: ClaimRefusal,
  more: { authority?: Ballot | undefined; waitMs?: number } = {},
): ClaimAnswer {
  const { authority, waitMs } = more;
  return {
    is: 'refused',
    reason,
    ...(authority !== undefined && { authority }),
    ...(waitMs !== undefined && { waitMs }),
  };
}

type Ballot = z.infer<typeof ballot>;
