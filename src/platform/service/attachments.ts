import { type Attachment, LARGEST_ATTACHMENTS } from '../attachments.js';
import type { Database, Trx } from './tables.js';

/** Part of the transaction that begins the run (P2). */
export async function keepAttachments(
  trx: Trx,
  run_key: string,
  attachments: readonly Attachment[],
): Promise<void> {
  for (const [number, { name, mime_type, bytes }] of attachments.entries()) {
    const row = { run_key, number, name, mime_type, size: bytes.length, bytes: Buffer.from(bytes) };
    await trx.insertInto('attachments').values(row).execute();
  }
}

/** What went with the prompt of a run, in its order. */
export async function attachmentsOf(db: Database, run: string): Promise<Attachment[]> {
  const rows = await db
    .selectFrom('attachments')
    .select(['name', 'mime_type', 'bytes'])
    .where('run_key', '=', run)
    .orderBy('number')
    .execute();
  return rows.map(({ bytes, ...one }) => ({ ...one, bytes: new Uint8Array(bytes) }));
}

/**
 * What went with the prompts of a history before a position, newest first, as much of it as may go with one prompt
 * beside `used` bytes: a model is shown the latest files again, the earlier ones by their names. By run.
 */
export async function latestAttachments(
  db: Database,
  history: { context: string; before: number },
  used: number,
): Promise<Map<string, Attachment[]>> {
  const { context, before } = history;
  const sizes = await db
    .selectFrom('attachments')
    .innerJoin('turns', 'turns.run_key', 'attachments.run_key')
    .select((row) => ['turns.run_key', 'position', row.fn.sum<number | string>('size').as('size')])
    .where('context', '=', context)
    .where('position', '<', before)
    .where('role', '=', 'user')
    .groupBy(['turns.run_key', 'position'])
    .orderBy('position', 'desc')
    .execute();
  const found = new Map<string, Attachment[]>();
  let left = LARGEST_ATTACHMENTS - used;
  for (const { run_key: run, size } of sizes) {
    left -= Number(size);
    if (left < 0) break;
    found.set(run, await attachmentsOf(db, run));
  }
  return found;
}

/** Deletes what no history has a turn of any more. */
export async function dropUnremembered(trx: Trx): Promise<void> {
  await trx
    .deleteFrom('attachments')
    .where('run_key', 'not in', (row) => row.selectFrom('turns').select('turns.run_key'))
    .execute();
}
