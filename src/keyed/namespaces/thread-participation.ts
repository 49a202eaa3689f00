import { z } from 'zod';
import type { KeyedStoreOptions } from '../options.js';

/** What is kept of a thread that the bot takes part in. */
export type ThreadParticipation = z.output<typeof shape>;

const shape = z.object({
  /** Which agent answers there; absent: the channel's. */
  agent: z.string().min(1).max(256).optional(),
});

/**
 * Threads that the bot takes part in, by `threadKey`: it answers there without a mention. Registered again with every
 * answer, so that the threads it was in last stay; until 1,000 newer ones have come.
 */
export const threadParticipation = {
  namespace: 'thread-participation',
  class: 'cache',
  maxEntries: 1000,
  shape,
} as const satisfies KeyedStoreOptions<ThreadParticipation>;
