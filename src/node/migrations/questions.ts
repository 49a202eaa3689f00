import { z } from 'zod';
import type { NodeMigrations } from './node-migrations.js';

/** Outcomes that are kept for whoever still asks. */
const KEPT = 16;

const member = z.object({ replica: z.string(), schema: z.number() });
const outcome = z.discriminatedUnion('state', [
  z.object({ state: z.literal('nothing') }),
  z.object({ state: z.literal('waiting'), members: z.array(member) }),
  z.object({ state: z.literal('held'), schema: z.number() }),
  z.object({
    state: z.literal('done'),
    documents: z.number(),
    records: z.number(),
    backup: z.string().optional(),
  }),
]);

/** How a migration that was asked for stands. */
export const migrateAnswer = z.discriminatedUnion('state', [
  z.object({
    ticket: z.int(),
    state: z.literal('running'),
    progress: z.object({ documents: z.number(), of: z.number() }).optional(),
  }),
  z.object({ ticket: z.int(), state: z.literal('ended'), outcome }),
  z.object({ ticket: z.int(), state: z.literal('failed'), fault: z.string() }),
]);
export type MigrateAnswer = z.infer<typeof migrateAnswer>;
export type AskedOutcome = z.infer<typeof outcome>;

/** What `migrate status` needs of a running replica. */
export const migrationsAnswer = z.object({
  known: z.number(),
  documents: z.array(z.object({ schema: z.number(), count: z.number() })),
  due: z.number(),
  members: z.array(member),
  held: z.array(z.number()),
  readOnly: z.array(z.object({ document: z.string(), schema: z.number() })),
  fault: z.string().optional(),
});

const question = z.object({ ticket: z.int().optional() });

/**
 * What the holder of a data folder answers over its control socket: `migrations {}` says how its documents stand,
 * `migrate {}` begins a migration and `migrate {ticket}` says how that one stands, because it takes longer than a
 * question may.
 */
export function migrationQuestions(
  migrations: NodeMigrations,
): Record<string, (params: Record<string, unknown>) => object> {
  const outcomes = new Map<number, MigrateAnswer>();
  let last = 0;
  const begin = (): MigrateAnswer => {
    last += 1;
    const ticket = last;
    outcomes.set(ticket, { ticket, state: 'running' });
    outcomes.delete(ticket - KEPT);
    migrations.run(true).then(
      (made) => outcomes.set(ticket, { ticket, state: 'ended', outcome: outcome.parse(made) }),
      // Logged and counted where it is made.
      (error: unknown) => {
        const fault = error instanceof Error ? error.message : String(error);
        outcomes.set(ticket, { ticket, state: 'failed', fault });
      },
    );
    return { ticket, state: 'running' };
  };
  return {
    migrations: () => migrations.status(),
    migrate(params) {
      const { ticket } = question.parse(params);
      if (ticket === undefined) return begin();
      const standing = outcomes.get(ticket);
      if (standing === undefined)
        return { ticket, state: 'failed', fault: 'nobody remembers that migration' };
      const { progress } = migrations.status();
      return standing.state === 'running' && progress !== undefined ? { ...standing, progress } : standing;
    },
  };
}
