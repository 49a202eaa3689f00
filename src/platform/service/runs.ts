import { randomBytes } from 'node:crypto';
import type { Invocation } from '../backends/backend.js';
import type { Prompt, RunEvent } from '../client.js';
import { withNames } from '../attachments.js';
import { keepAttachments } from './attachments.js';
import { countUserTurns } from './contexts.js';
import { Refusal } from './errors.js';
import type { Database, RunRow } from './tables.js';

export type RunEnd = Extract<RunEvent, { type: 'final' | 'error' }>;

const UNFINISHED = ['queued', 'running'] as const;

/** A run that has begun in a chat. */
export type BegunRun = RunRow & { chat: string; context: string; agent: string };

/** The run records. Whatever changes one on behalf of an executor holds only while that executor still has it. */
export class Runs {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /**
   * The run of that key, begun now if there was none: key, user turn, attachments and run record in one transaction (P2).
   * `begun` is true for the one caller that began it.
   */
  begin(
    key: string,
    chat: string,
    prompt: Prompt,
    executor: string,
  ): Promise<{ run: RunRow; begun: boolean }> {
    return this.db.transaction().execute(async (trx) => {
      const claimed = await trx
        .insertInto('runs')
        .values({ ...blank(key, this.now()), chat, prompt: prompt.text, status: 'queued', executor })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('key')
        .executeTakeFirst();
      const record = trx.selectFrom('runs').selectAll().where('key', '=', key);
      if (!claimed) return { run: await record.executeTakeFirstOrThrow(), begun: false };

      const place = await trx
        .updateTable('chats')
        .set((row) => ({ runs: row('runs', '+', 1) }))
        .where('id', '=', chat)
        .returning(['context', 'agent', 'runs as position'])
        .executeTakeFirst();
      if (!place) throw new Refusal('no-such-chat', 'there is no such chat');
      const { context, agent, position } = place;
      const { attachments = [] } = prompt;
      const text = withNames(prompt.text, attachments);
      await trx
        .insertInto('turns')
        .values({ context, position, role: 'user', text, author: prompt.user, run_key: key })
        .execute();
      await keepAttachments(trx, key, attachments);
      const number = await countUserTurns(trx, context, position);
      await trx
        .updateTable('runs')
        .set({ context, agent, position, number })
        .where('key', '=', key)
        .execute();
      return { run: await record.executeTakeFirstOrThrow(), begun: true };
    });
  }

  find(key: string): Promise<RunRow | undefined> {
    return this.db.selectFrom('runs').selectAll().where('key', '=', key).executeTakeFirst();
  }

  /** Whether an earlier run of the chat is unfinished: one run at a time per chat, in the order of begin. */
  async mustWait(run: BegunRun): Promise<boolean> {
    const earlier = await this.db
      .selectFrom('runs')
      .select('key')
      .where('chat', '=', run.chat)
      .where('position', '<', run.position)
      .where('status', 'in', UNFINISHED)
      .limit(1)
      .executeTakeFirst();
    return earlier !== undefined;
  }

  /** False when the run was cancelled or is someone else's by now. */
  async start(key: string, executor: string): Promise<boolean> {
    const started = await this.db
      .updateTable('runs')
      .set((row) => ({
        status: 'running' as const,
        started_at: row.fn.coalesce('started_at', row.val(this.now())),
      }))
      .where('key', '=', key)
      .where('executor', '=', executor)
      .where('status', 'in', UNFINISHED)
      .returning('key')
      .executeTakeFirst();
    return started !== undefined;
  }

  /** Ends a run and writes the assistant's turn, in one transaction. False as in {@link start}. */
  finish(run: BegunRun, executor: string, end: RunEnd): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      const finished = await trx
        .updateTable('runs')
        .set({ ...ending(end), finished_at: this.now() })
        .where('key', '=', run.key)
        .where('executor', '=', executor)
        .where('status', 'in', UNFINISHED)
        .returning('key')
        .executeTakeFirst();
      if (!finished) return false;
      if (end.type === 'final') {
        const { context, position, key: run_key } = run;
        await trx
          .insertInto('turns')
          .values({ context, position, role: 'assistant', text: end.text, author: null, run_key })
          .execute();
      }
      await trx.deleteFrom('run_events').where('run_key', '=', run.key).execute();
      return true;
    });
  }

  /** Ends a run that is not finished; one that has not begun yet is ended before it can (a single register). */
  cancel(key: string): Promise<void> {
    const end: RunEnd = { type: 'error', code: 'cancelled', message: 'the run was cancelled' };
    return this.db.transaction().execute(async (trx) => {
      const values = { ...ending(end), finished_at: this.now() };
      const first = await trx
        .insertInto('runs')
        .values({ ...blank(key, this.now()), ...values })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('key')
        .executeTakeFirst();
      if (first) return;
      await trx
        .updateTable('runs')
        .set(values)
        .where('key', '=', key)
        .where('status', 'in', UNFINISHED)
        .execute();
      await trx.deleteFrom('run_events').where('run_key', '=', key).execute();
    });
  }

  /** Counts one more invocation; false executors count nothing and get undefined. */
  invoke(key: string, executor: string, mode: 'again' | 'resume'): Promise<Invocation | undefined> {
    return this.db.transaction().execute(async (trx) => {
      const mine = await trx
        .updateTable('runs')
        .set({ executor })
        .where('key', '=', key)
        .where('executor', '=', executor)
        .where('status', 'in', UNFINISHED)
        .returning('key')
        .executeTakeFirst();
      if (!mine) return undefined;
      const latest = await trx
        .selectFrom('invocations')
        .selectAll()
        .where('run_key', '=', key)
        .orderBy('number', 'desc')
        .limit(1)
        .executeTakeFirst();
      if (latest && mode === 'resume') {
        return { number: latest.number, startedAt: latest.started_at, seed: latest.seed };
      }
      const invocation = {
        number: (latest?.number ?? 0) + 1,
        startedAt: this.now(),
        seed: randomBytes(6).toString('hex'),
      };
      const { number, startedAt: started_at, seed } = invocation;
      await trx.insertInto('invocations').values({ run_key: key, number, started_at, seed }).execute();
      return invocation;
    });
  }

  /** How often backends were asked, for one run or for all. */
  async invocations(key?: string): Promise<number> {
    let query = this.db.selectFrom('invocations').select((row) => row.fn.countAll<number>().as('count'));
    if (key !== undefined) query = query.where('run_key', '=', key);
    return (await query.executeTakeFirstOrThrow()).count;
  }

  async countByStatus(): Promise<Record<string, number>> {
    const rows = await this.db
      .selectFrom('runs')
      .select((row) => ['status', row.fn.countAll<number>().as('count')])
      .groupBy('status')
      .execute();
    return Object.fromEntries(rows.map((row) => [row.status, row.count]));
  }

  /** Unfinished runs of this executor. */
  async ofExecutor(executor: string): Promise<BegunRun[]> {
    const rows = await this.db
      .selectFrom('runs')
      .selectAll()
      .where('executor', '=', executor)
      .where('status', 'in', UNFINISHED)
      .execute();
    return rows.filter(hasBegun);
  }

  /** Takes over every unfinished run whose executor is not among the processes. Returns what it took. */
  async adoptOrphans(executor: string): Promise<BegunRun[]> {
    const rows = await this.db
      .updateTable('runs')
      .set({ executor })
      .where('status', 'in', UNFINISHED)
      .where((row) =>
        row.or([
          row('executor', 'is', null),
          row('executor', 'not in', row.selectFrom('processes').select('processes.id')),
        ]),
      )
      .returningAll()
      .execute();
    return rows.filter(hasBegun);
  }
}

export function hasBegun(run: RunRow): run is BegunRun {
  return run.chat !== null && run.context !== null && run.agent !== null;
}

/** How a run ended, or undefined while it goes on. */
export function endOf(run: RunRow): RunEnd | undefined {
  if (run.status === 'done') return { type: 'final', text: run.text ?? '' };
  if (run.status !== 'failed') return undefined;
  return { type: 'error', code: run.error_code ?? 'internal', message: run.error_message ?? '' };
}

function ending(end: RunEnd) {
  return end.type === 'final'
    ? { status: 'done' as const, text: end.text }
    : { status: 'failed' as const, error_code: end.code, error_message: end.message };
}

function blank(key: string, now: number): RunRow {
  return {
    key,
    chat: null,
    context: null,
    position: 0,
    number: 0,
    agent: null,
    prompt: '',
    status: 'queued',
    executor: null,
    created_at: now,
    started_at: null,
    finished_at: null,
    text: null,
    error_code: null,
    error_message: null,
  };
}
