import { z } from 'zod';

/** What the holder of a folder answers about actors (node/audit/questions.ts), read. */
const snapshot = z.object({
  key: z.string(),
  status: z.enum(['active', 'done', 'quarantined', 'newer', 'archived']),
  machine: z.string(),
  version: z.number(),
  value: z.json(),
  context: z.json(),
  reason: z.object({ code: z.string(), message: z.string(), event: z.string() }).optional(),
});
export type ShownSnapshot = z.output<typeof snapshot>;

const entry = z.object({
  generation: z.number(),
  cause: z.string(),
  replica: z.string().optional(),
  epoch: z.number().optional(),
  late: z.boolean(),
  event: z.object({
    id: z.string(),
    type: z.string(),
    stamp: z.number(),
    ts: z.number(),
    data: z.record(z.string(), z.json()).optional(),
  }),
  from: snapshot,
  to: snapshot,
  outcome: z.enum(['taken', 'ignored']),
  effects: z.array(z.object({ id: z.string(), name: z.string(), params: z.json(), cause: z.string() })),
});
export type ShownEntry = z.output<typeof entry>;

const segment = z.object({ shard: z.number(), generation: z.number(), archived: z.boolean() });
export type ShownSegment = z.output<typeof segment>;

export const historyAnswer = z.object({
  segments: z.array(segment),
  entries: z.array(entry).nullish(),
});
export const atAnswer = z.object({ state: snapshot.nullable() });
export const actorsAnswer = z.object({ actors: z.array(snapshot.omit({ context: true })) });
export type ShownActor = z.output<typeof actorsAnswer>['actors'][number];
export const releaseAnswer = z.object({ actor: snapshot });
