import { z } from 'zod';
import { MAX_ENTRIES } from './bounds.js';
import { KeyedStoreError } from './errors.js';

/** The longest ttl, and how long an entry of a persistent namespace without one lives unless it is renewed, milliseconds. */
export const LONGEST_TTL_MS = 364 * 24 * 60 * 60_000;

/**
 * What a namespace is. Replicas that share a persistent one give it the same class, ttl and shape; while they do not
 * (an upgrade), each goes by its own.
 */
export interface KeyedStoreOptions<V> {
  /** Lower-case letters, digits and hyphens, at most 64. */
  namespace: string;
  /**
   * `cache`: the newest `maxEntries` stand, older ones are evicted. `durable`: nothing is evicted, and registering
   * one more throws `full`. Class `claim` (PROTOCOL K1) is none of these: it needs an authority.
   */
  class: 'cache' | 'durable';
  /** Milliseconds from an entry's time to its end, 1 s to 364 days. Without it: until evicted, consumed or deleted. */
  ttl?: number;
  /** 1–100,000. */
  maxEntries: number;
  /**
   * Mirror it in documents: it survives restarts and reaches the other replicas. Default false: memory only. Its
   * values then stand on every replica and relay; what people wrote does not belong in them.
   */
  persistent?: boolean;
  /** What a value may be; a row of a peer that is not so is counted and absent. */
  shape: z.ZodType<V>;
}

/** {@link KeyedStoreOptions} without the shape, checked. */
export interface NamespaceLimits {
  readonly namespace: string;
  readonly class: 'cache' | 'durable';
  /** Milliseconds; Infinity for one without. */
  readonly ttl: number;
  /** How long an entry lives, milliseconds: a persistent one never without end. */
  readonly life: number;
  readonly maxEntries: number;
  readonly persistent: boolean;
}

const schema = z.object({
  namespace: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'lower-case letters, digits and hyphens, at most 64'),
  class: z.enum(['cache', 'durable'], 'cache or durable'),
  ttl: z
    .int('whole milliseconds')
    .min(1000, 'at least 1000 ms')
    .max(LONGEST_TTL_MS, 'at most 364 days')
    .optional(),
  maxEntries: z.int('a whole number').min(1, 'at least 1').max(MAX_ENTRIES, `at most ${MAX_ENTRIES}`),
  persistent: z.boolean('true or false').default(false),
});

/** @throws {KeyedStoreError} `bad-options`. */
export function limitsOf(options: Omit<KeyedStoreOptions<unknown>, 'shape'>): NamespaceLimits {
  const parsed = schema.safeParse(options);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new KeyedStoreError('bad-options', `a keyed store cannot be opened so (${faults.join('; ')})`);
  }
  const ttl = parsed.data.ttl ?? Infinity;
  return { ...parsed.data, ttl, life: parsed.data.persistent ? Math.min(ttl, LONGEST_TTL_MS) : ttl };
}
