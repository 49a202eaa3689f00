import { z } from 'zod';
import type { KeyedStoreOptions } from '../options.js';

const id = z.string().min(1).max(256);

/** What is kept of a prompt that waits for a choice. */
export type InteractivePrompt = z.output<typeof shape>;

const shape = z.object({
  kind: z.enum(['buttons', 'form', 'reactions']),
  /** What the prompt belongs to: the id of the event, run or dialogue that asked. */
  source: id,
  /** Who may choose, as the surface names people; absent: everybody in the channel. */
  person: id.optional(),
  /** Ids of what can be chosen (button, field or emoji), never their labels. */
  choices: z.array(z.string().min(1).max(64)).max(25),
});

/** Prompts with buttons, forms or reaction menus, by the `messageKey` of the prompt. Consumed by the first choice. */
export const interactivePrompts = {
  namespace: 'interactive-prompts',
  class: 'cache',
  ttl: 30 * 60_000,
  maxEntries: 500,
  shape,
} as const satisfies KeyedStoreOptions<InteractivePrompt>;
