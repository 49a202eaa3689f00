import type { z } from 'zod';
import type { Database, Tables, Trx } from './tables.js';

/**
 * Carries a write out once per (operation, key), in one transaction with the record of its result (P1, P2).
 * Every later call gets that result, whatever it asks; of two at once the second waits for the first. A
 * write that rejects leaves nothing, so that its key stays free.
 */
export async function once<T>(
  db: Database,
  operation: Tables['keys']['operation'],
  key: string,
  schema: z.ZodType<T>,
  now: number,
  write: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (trx) => {
    const claimed = await trx
      .insertInto('keys')
      .values({ operation, key, result: '', created_at: now })
      .onConflict((conflict) => conflict.columns(['operation', 'key']).doNothing())
      .returning('key')
      .executeTakeFirst();
    if (!claimed) {
      const first = await trx
        .selectFrom('keys')
        .select('result')
        .where('operation', '=', operation)
        .where('key', '=', key)
        .executeTakeFirstOrThrow();
      return schema.parse(JSON.parse(first.result));
    }
    const result = await write(trx);
    await trx
      .updateTable('keys')
      .set({ result: JSON.stringify(result) })
      .where('operation', '=', operation)
      .where('key', '=', key)
      .execute();
    return result;
  });
}
