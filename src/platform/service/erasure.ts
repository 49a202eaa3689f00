import { sql } from 'kysely';
import { z } from 'zod';
import { dropUnremembered } from './attachments.js';
import { once } from './keys.js';
import type { Database, Trx } from './tables.js';

/** What stays of a run whose chat was deleted: that it is over, so that its key never begins another one. */
const OVER = {
  status: 'failed' as const,
  chat: null,
  context: null,
  prompt: '',
  text: null,
  error_code: 'forgotten',
  error_message: 'the chat of this run was deleted',
};

/**
 * Deletes a chat, with its parts, and all that they remember: histories, those that were saved under a name, the texts of runs,
 * and the keys that made them, so that the same key makes a new, empty one. A branch is a chat of its own and stays.
 * Carried out once per key: a call that comes again, or late, does not touch the chat that took this one's place.
 * A chat that is not there is deleted already.
 */
export class Erasure {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /** The keys of the runs that were ended by it. */
  async deleteChat(key: string, chat: string): Promise<string[]> {
    const { ended } = await once(this.db, 'delete', key, outcome, this.now(), async (trx) => {
      const over = await this.deleteOne(trx, chat);
      // Looked for once the whole is locked: no part of it is made any more.
      const parts = await trx.selectFrom('chats').select('id').where('part_of', '=', chat).execute();
      for (const part of parts) over.push(...(await this.deleteOne(trx, part.id)));
      await dropUnremembered(trx);
      return { ended: over };
    });
    return ended;
  }

  private async deleteOne(trx: Trx, chat: string): Promise<string[]> {
    // Locks the chat: no run begins in it until this is over.
    const found = await trx
      .deleteFrom('chats')
      .where('id', '=', chat)
      .returning('context')
      .executeTakeFirst();
    const contexts = await contextsOf(trx, chat, found?.context);
    if (contexts.length > 0) await trx.deleteFrom('turns').where('context', 'in', contexts).execute();
    await trx.deleteFrom('saved_contexts').where('chat', '=', chat).execute();
    await trx.deleteFrom('standing_approvals').where('chat', '=', chat).execute();
    await trx
      .deleteFrom('keys')
      .where('operation', 'in', ['create', 'branch'])
      .where(sql<boolean>`result like ${made(chat)} escape '!'`)
      .execute();
    return this.endRuns(trx, chat);
  }

  /** Deletes what was saved under a name. Carried out once per key. */
  async deleteContext(key: string, chat: string, name: string): Promise<void> {
    await once(this.db, 'delete', key, outcome, this.now(), async (trx) => {
      const saved = await trx
        .deleteFrom('saved_contexts')
        .where('chat', '=', chat)
        .where('name', '=', name)
        .returning('context')
        .executeTakeFirst();
      if (saved !== undefined) {
        await trx.deleteFrom('turns').where('context', '=', saved.context).execute();
        await dropUnremembered(trx);
      }
      return { ended: [] };
    });
  }

  private async endRuns(trx: Trx, chat: string): Promise<string[]> {
    const unfinished = await trx
      .selectFrom('runs')
      .select('key')
      .where('chat', '=', chat)
      .where('status', 'in', ['queued', 'running'])
      .execute();
    for (const table of ['run_events', 'approvals'] as const) {
      await trx
        .deleteFrom(table)
        .where('run_key', 'in', (row) =>
          row.selectFrom('runs').select('runs.key').where('runs.chat', '=', chat),
        )
        .execute();
    }
    await trx
      .updateTable('runs')
      .set((row) => ({ ...OVER, finished_at: row.fn.coalesce('finished_at', row.val(this.now())) }))
      .where('chat', '=', chat)
      .execute();
    return unfinished.map((run) => run.key);
  }
}

const outcome = z.object({ ended: z.array(z.string()) });

async function contextsOf(trx: Trx, chat: string, present: string | undefined): Promise<string[]> {
  const saved = await trx.selectFrom('saved_contexts').select('context').where('chat', '=', chat).execute();
  // Histories that the chat left behind by loading another one.
  const left = await trx
    .selectFrom('runs')
    .select('context')
    .where('chat', '=', chat)
    .where('context', 'is not', null)
    .$castTo<{ context: string }>()
    .execute();
  const all = [...saved, ...left].map(({ context }) => context);
  return [...new Set(present === undefined ? all : [...all, present])];
}

/** What the result of a key that made this chat begins with, as a pattern. */
const made = (chat: string): string =>
  `${JSON.stringify({ platform_chat_id: chat }).slice(0, -1).replaceAll(/[!%_]/g, '!$&')},%`;
