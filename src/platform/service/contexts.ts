import type { Turn } from '../backends/backend.js';
import { latestAttachments } from './attachments.js';
import { Refusal } from './errors.js';
import type { Database, Trx } from './tables.js';

/** Copies the turns of finished runs, up to the first run that is not finished. */
export async function copyTurns(trx: Trx, from: string, to: string): Promise<void> {
  const unfinished = await trx
    .selectFrom('runs')
    .select((row) => row.fn.min('position').as('position'))
    .where('context', '=', from)
    .where('status', 'in', ['queued', 'running'])
    .executeTakeFirst();
  await copy(trx, from, to, unfinished?.position ?? undefined);
}

/** Copies the turns before the run of that key: of the chat's present history if it is in there, else of its own. */
export async function copyTurnsBefore(
  trx: Trx,
  source: { chat: string; context: string; run: string },
  to: string,
): Promise<void> {
  const present = await trx
    .selectFrom('turns')
    .select(['context', 'position'])
    .where('context', '=', source.context)
    .where('run_key', '=', source.run)
    .executeTakeFirst();
  const pin =
    present ??
    (await trx
      .selectFrom('runs')
      .select(['context', 'position'])
      .where('key', '=', source.run)
      .where('chat', '=', source.chat)
      .executeTakeFirst());
  if (!pin?.context) throw new Refusal('no-such-run', 'this chat has no run of the key given in "before"');
  await copy(trx, pin.context, to, pin.position);
}

async function copy(trx: Trx, from: string, to: string, before: number | undefined): Promise<void> {
  await trx
    .insertInto('turns')
    .columns(['context', 'position', 'role', 'text', 'author', 'run_key'])
    .expression((query) => {
      const turns = query
        .selectFrom('turns')
        .select((row) => [row.val(to).as('context'), 'position', 'role', 'text', 'author', 'run_key'])
        .where('context', '=', from);
      return before === undefined ? turns : turns.where('position', '<', before);
    })
    .execute();
}

/** The turns of a context before a position, oldest first; the latest files with them, beside `used` bytes of others. */
export async function readTurns(
  db: Database,
  context: string,
  before: number,
  used: number,
): Promise<Turn[]> {
  const files = await latestAttachments(db, { context, before }, used);
  const turns = await db
    .selectFrom('turns')
    .select(['role', 'text', 'run_key'])
    .where('context', '=', context)
    .where('position', '<', before)
    .orderBy('position')
    .orderBy('role', 'desc')
    .execute();
  return turns.map(({ role, text, run_key }) => ({
    role,
    text,
    attachments: role === 'user' ? (files.get(run_key) ?? []) : [],
  }));
}

/** How many of the person's turns a context has up to a position. */
export async function countUserTurns(trx: Trx, context: string, upTo: number): Promise<number> {
  const { count } = await trx
    .selectFrom('turns')
    .select((row) => row.fn.countAll<number>().as('count'))
    .where('context', '=', context)
    .where('role', '=', 'user')
    .where('position', '<=', upTo)
    .executeTakeFirstOrThrow();
  return count;
}
