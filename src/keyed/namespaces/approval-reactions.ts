import { z } from 'zod';
import type { KeyedStoreOptions } from '../options.js';

const id = z.string().min(1).max(256);

/** What is kept of an approval request that waits for a reaction. */
export type ApprovalReaction = z.output<typeof shape>;

const shape = z.object({
  /** The approval at the platform, which takes the first decision on it. */
  approval: id,
  /** The event, run or dialogue that asks. */
  source: id.optional(),
  /** Which emoji decides what; `always` agrees to all of that kind from now on. */
  decisions: z.record(z.string().min(1).max(64), z.enum(['approve', 'deny', 'always'])),
  /** Who may decide, as the surface names people; absent: everybody in the channel. */
  person: id.optional(),
});

/**
 * Approval requests, by the `messageKey` of the request: an emoji on one decides it, also after a restart. Consumed
 * after the platform has taken the decision; two replicas that both do so give it the same one twice.
 */
export const approvalReactions = {
  namespace: 'approval-reactions',
  class: 'cache',
  ttl: 24 * 60 * 60_000,
  maxEntries: 1000,
  shape,
} as const satisfies KeyedStoreOptions<ApprovalReaction>;
