import { z } from 'zod';
import { faultOf } from '../../backup/backup-file.js';
import type { NodeBackups } from './node-backups.js';

/** Outcomes that are kept for whoever still asks. */
const KEPT = 16;

const progress = z.object({ documents: z.number(), of: z.number(), bytes: z.number() });
const made = z.object({
  name: z.string(),
  path: z.string(),
  bytes: z.number(),
  documents: z.number(),
  created_at: z.string(),
});

/** How a backup that was asked for stands. */
export const backupAnswer = z.discriminatedUnion('state', [
  z.object({ ticket: z.int(), state: z.literal('running'), progress: progress.optional() }),
  z.object({ ticket: z.int(), state: z.literal('made'), backup: made }),
  z.object({ ticket: z.int(), state: z.literal('failed'), fault: z.string() }),
]);
type BackupAnswer = z.infer<typeof backupAnswer>;

const question = z.object({ ticket: z.int().optional() });

/**
 * What the holder of a data folder answers about backups over its control socket: `backup {}` begins one, and
 * `backup {ticket}` says how that one stands. Two steps, because one takes longer than a question may.
 */
export function backupQuestions(
  backups: NodeBackups,
): Record<string, (params: Record<string, unknown>) => BackupAnswer> {
  const outcomes = new Map<number, BackupAnswer>();
  let last = 0;
  const begin = (): BackupAnswer => {
    last += 1;
    const ticket = last;
    outcomes.set(ticket, { ticket, state: 'running' });
    outcomes.delete(ticket - KEPT);
    backups.create('asked').then(
      ({ name, path, size, manifest: { created_at, documents } }) =>
        outcomes.set(ticket, {
          ticket,
          state: 'made',
          backup: { name, path, bytes: size, documents: documents.length, created_at },
        }),
      // Logged and counted where it is made.
      (error: unknown) =>
        outcomes.set(ticket, { ticket, state: 'failed', fault: faultOf(error) ?? String(error) }),
    );
    return { ticket, state: 'running' };
  };
  return {
    backup(params) {
      const { ticket } = question.parse(params);
      if (ticket === undefined) return begin();
      const outcome = outcomes.get(ticket);
      if (outcome === undefined) return { ticket, state: 'failed', fault: 'nobody remembers that backup' };
      const { progress: done } = backups.status();
      return outcome.state === 'running' && done !== undefined ? { ...outcome, progress: done } : outcome;
    },
  };
}
