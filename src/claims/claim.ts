import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fencingToken } from './token.js';

/** Claims are kept in so many parts, one record on disk each: a grant rewrites one of them. */
export const PARTS = 16;

const KEY_BYTES = 1024;

export const claimAddress = {
  namespace: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  key: z
    .string()
    .min(1)
    .refine((key) => Buffer.byteLength(key) <= KEY_BYTES),
};

/** Whom a claim belongs to: the replica that the connection vouches for, and what it calls its worker. */
export const claimOwner = z.object({ replica: z.string().min(1).max(128), worker: z.string().max(128) });
export type ClaimOwner = z.infer<typeof claimOwner>;

/** What the authority knows of one key. */
export const claim = z.object({
  ...claimAddress,
  owner: claimOwner,
  /** The request that it was granted to: the same one again is given the same token. */
  request: z.string().min(1).max(64),
  token: fencingToken,
  state: z.enum(['held', 'consumed']),
  /** In the authority's own time: when the lease of a held one is over, or a consumed one may be forgotten. */
  until: z.number().nonnegative(),
});
export type Claim = z.infer<typeof claim>;

export const addressOf = ({ namespace, key }: Pick<Claim, 'namespace' | 'key'>): string =>
  `${namespace} ${key}`;

/** The part that a key is kept in. */
export function partOf(address: Pick<Claim, 'namespace' | 'key'>): number {
  return createHash('sha256').update(addressOf(address)).digest().readUInt8(0) % PARTS;
}
