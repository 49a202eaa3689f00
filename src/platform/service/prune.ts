import type { Log } from '../../telemetry/log.js';
import type { Cancel, Clock } from '../../time/clock.js';
import { dropUnremembered } from './attachments.js';
import type { Database } from './tables.js';

const HOUR_MS = 3_600_000;

/**
 * Deletes, once an hour, what finished longer ago than `retentionMs` (at least 7 days by P2): runs with their
 * invocations and approvals, keys of save and load, histories that nothing refers to. Keys that made a chat
 * stay as long as the chat (P1), and its turns too.
 */
export function pruneRegularly(db: Database, clock: Clock, retentionMs: number, log: Log): Cancel {
  return clock.every(HOUR_MS, () => {
    prune(db, clock.now() - retentionMs).then(
      (runs) => log.debug({ runs }, 'old runs pruned'),
      (error: unknown) => log.warn({ error: String(error) }, 'pruning failed'),
    );
  });
}

/** Resolves to how many runs went. */
export async function prune(db: Database, before: number): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const runs = await trx.deleteFrom('runs').where('finished_at', '<', before).executeTakeFirst();
    await trx
      .deleteFrom('keys')
      .where('operation', 'in', ['save', 'load'])
      .where('created_at', '<', before)
      .execute();
    for (const table of ['invocations', 'approvals'] as const) {
      await trx
        .deleteFrom(table)
        .where('run_key', 'not in', (row) => row.selectFrom('runs').select('runs.key'))
        .execute();
    }
    await trx
      .deleteFrom('run_events')
      .where('run_key', 'not in', (row) =>
        row.selectFrom('runs').select('runs.key').where('runs.finished_at', 'is', null),
      )
      .execute();
    await trx
      .deleteFrom('turns')
      .where('context', 'not in', (row) => row.selectFrom('chats').select('chats.context'))
      .where('context', 'not in', (row) => row.selectFrom('saved_contexts').select('saved_contexts.context'))
      .where('context', 'not in', (row) =>
        row
          .selectFrom('runs')
          .select('runs.context')
          .where('runs.context', 'is not', null)
          .$castTo<{ context: string }>(),
      )
      .execute();
    await dropUnremembered(trx);
    return Number(runs.numDeletedRows);
  });
}
