import { z } from 'zod';
import { LONGEST_KEEP_MS, LONGEST_LEASE_MS, SHORTEST_LEASE_MS } from '../claims/limits.js';
import { KeyedStoreError } from './errors.js';

const DAY_MS = 24 * 60 * 60_000;

/** A namespace of things that one replica may do, decided by one relay (PROTOCOL K1; docs/decisions/0016). */
export interface ClaimStoreOptions {
  /** Lower-case letters, digits and hyphens, at most 64. */
  namespace: string;
  class: 'claim';
  /** How long a claim is held unless it is renewed or ended, milliseconds: 100 ms to 60 s. */
  ttl: number;
  /** How long the authority remembers what was committed, milliseconds: at most 364 days. Default 7 days. */
  keep?: number;
  /**
   * What to do when no authority decides within `patience`. `wait`: nothing, and the verb throws `no-authority`.
   * `proceed`: go on without one, and say so: another replica may do the same.
   */
  whenUnreachable: 'wait' | 'proceed';
  /** Milliseconds. Default 10 s with `wait`, 2 s with `proceed`. */
  patience?: number;
}

export type ClaimRules = Required<ClaimStoreOptions>;

const schema = z.object({
  namespace: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'lower-case letters, digits and hyphens, at most 64'),
  class: z.literal('claim'),
  ttl: z
    .int('whole milliseconds')
    .min(SHORTEST_LEASE_MS, `at least ${SHORTEST_LEASE_MS} ms`)
    .max(LONGEST_LEASE_MS, `at most ${LONGEST_LEASE_MS} ms: renew a claim that is held for longer`),
  keep: z
    .int('whole milliseconds')
    .min(1000, 'at least 1000 ms')
    .max(LONGEST_KEEP_MS, 'at most 364 days')
    .default(7 * DAY_MS),
  whenUnreachable: z.enum(['wait', 'proceed'], 'wait or proceed'),
  patience: z.int('whole milliseconds').min(0, 'not below 0').max(600_000, 'at most 10 minutes').optional(),
});

/** @throws {KeyedStoreError} `bad-options`. */
export function claimRulesOf(options: ClaimStoreOptions): ClaimRules {
  const parsed = schema.safeParse(options);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new KeyedStoreError(
      'bad-options',
      `a namespace of claims cannot be opened so (${faults.join('; ')})`,
    );
  }
  const { data } = parsed;
  return { ...data, patience: data.patience ?? (data.whenUnreachable === 'wait' ? 10_000 : 2_000) };
}
