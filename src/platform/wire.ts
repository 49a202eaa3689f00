import { z } from 'zod';

/**
 * The bodies of the platform's HTTP API, version 1, as both sides read them. Unknown fields are ignored, so
 * that either side may be the newer one.
 */
export const agentListBody = z.object({
  agents: z.array(
    z.object({ id: z.string(), name: z.string(), description: z.string(), is_default: z.boolean() }),
  ),
});

export const chatBody = z.object({ platform_chat_id: z.string().min(1), agent: z.string().min(1) });

/** `saved_at` is in milliseconds since the epoch. */
export const contextListBody = z.object({
  contexts: z.array(z.object({ name: z.string(), saved_at: z.number() })),
});

export const verdict = z.enum(['approve', 'deny', 'always']);

export const decidedBody = z.object({ decision: verdict, by: z.string().optional(), ours: z.boolean() });

export const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** One line of a run's stream. An empty line only says that the platform is still there. */
export const runEventLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('delta'), text: z.string() }),
  z.object({ type: z.literal('approval'), id: z.string(), question: z.string() }),
  z.object({ type: z.literal('decided'), id: z.string(), decision: verdict, by: z.string().optional() }),
  z.object({ type: z.literal('final'), text: z.string() }),
  z.object({ type: z.literal('error'), code: z.string(), message: z.string() }),
]);

/** A line of a kind that this version does not know: skipped, so that a newer platform may say more. */
export const unknownEventLine = z.object({ type: z.string() });

export const KEY_HEADER = 'idempotency-key';
export const STREAM_TYPE = 'application/x-ndjson';
