import { z } from 'zod';

/**
 * What `inspect` shows, and what the control method `inspect` (params `{key?}`) answers: every record whose key
 * is or begins with the asked one, with each field's value, stamp (milliseconds, hybrid clock) and cause.
 */
export const lookedAt = z.object({
  records: z.array(
    z.object({
      kind: z.string(),
      key: z.string(),
      /** The documents that hold a copy, as `routing/3`, where they are known. */
      documents: z.array(z.string()).optional(),
      fields: z.record(z.string(), z.object({ value: z.json(), stamp: z.number(), cause: z.string() })),
    }),
  ),
});

export type LookedAt = z.infer<typeof lookedAt>;
export type LookedAtRecord = LookedAt['records'][number];
