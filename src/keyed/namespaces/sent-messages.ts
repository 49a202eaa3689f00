import { z } from 'zod';
import type { KeyedStoreOptions } from '../options.js';

const id = z.string().min(1).max(256);

/** What is kept of a message that the bot sent. */
export type SentMessage = z.output<typeof shape>;

const shape = z.object({
  /** The event that it answers. */
  source: id.optional(),
  /** The agent that wrote it. */
  agent: id.optional(),
});

/** Messages that the bot sent, by `messageKey`: a reply to one of them addresses the bot. */
export const sentMessages = {
  namespace: 'sent-messages',
  class: 'cache',
  ttl: 24 * 60 * 60_000,
  maxEntries: 1000,
  shape,
} as const satisfies KeyedStoreOptions<SentMessage>;
