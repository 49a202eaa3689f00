import { z } from 'zod';
import { ballot } from '../../claims/token.js';
import { claimAnswer } from '../../claims/wire.js';
import type { NodeClaims } from './node-claims.js';

const set = z.object({ relay: z.string().min(1).max(1024), give_up_old: z.boolean().default(false) });

export const authorityAnswer = z.object({
  authority: ballot.optional(),
  relays: z.array(
    z.object({
      relay: z.string(),
      url: z.string(),
      isAuthority: z.boolean(),
      silentMs: z.number().optional(),
      held: z.number().optional(),
      consumed: z.number().optional(),
    }),
  ),
});

export const authoritySetAnswer = z.object({ ballot, silentMs: z.number(), stored: z.boolean() });

export const holdersAnswer = claimAnswer;

/**
 * What the holder of a data folder answers about claims over its control socket: `authority {}`,
 * `authority-set {relay, give_up_old}` and `claims {}`.
 */
export function claimQuestions(
  claims: NodeClaims,
): Record<string, (params: Record<string, unknown>) => unknown> {
  return {
    authority: () => claims.status(),
    'authority-set': (params) => {
      const { relay, give_up_old } = set.parse(params);
      return claims.setAuthority(relay, { giveUpOld: give_up_old });
    },
    claims: () => claims.holders(),
  };
}
