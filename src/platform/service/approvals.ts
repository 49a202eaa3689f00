import type { Decided, Verdict } from '../client.js';
import { Refusal } from './errors.js';
import type { BegunRun } from './runs.js';
import type { ApprovalRow, Database, Trx } from './tables.js';

/** Questions that runs put to a person. The first decision per question holds (P5), for as long as its run goes on. */
export class Approvals {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
    /** So long after it was asked nobody may decide any more, milliseconds. */
    private readonly openMs: number,
  ) {}

  /**
   * Asks, or finds what was asked before under that id. `isGranted`: it needs no asking, because that kind was agreed
   * to for good in the run's chat. `expiry` is in milliseconds since the epoch.
   */
  ask(run: BegunRun, id: string, kind: string): Promise<{ isGranted: boolean; expiry: number }> {
    return this.db.transaction().execute(async (trx) => {
      const now = this.now();
      const standing = await trx
        .selectFrom('standing_approvals')
        .select('kind')
        .where('chat', '=', run.chat)
        .where('kind', '=', kind)
        .executeTakeFirst();
      await trx
        .insertInto('approvals')
        .values({
          run_key: run.key,
          id,
          kind,
          asked_at: now,
          decision: standing ? 'always' : null,
          decided_at: standing ? now : null,
          decided_by: null,
          decided_key: null,
        })
        .onConflict((conflict) => conflict.columns(['run_key', 'id']).doNothing())
        .execute();
      const asked = await find(trx, run.key, id);
      const isGranted = asked?.decision === 'always' && asked.decided_key === null;
      return { isGranted, expiry: (asked?.asked_at ?? now) + this.openMs };
    });
  }

  /** Resolves to the decision that holds, which may be an earlier one. Throws {@link Refusal}. */
  decide(
    run: string,
    id: string,
    { key, decision, by }: { key: string; decision: Verdict; by?: string | undefined },
  ): Promise<Decided> {
    return this.db.transaction().execute(async (trx) => {
      const now = this.now();
      const first = await trx
        .updateTable('approvals')
        .set({ decision, decided_at: now, decided_by: by ?? null, decided_key: key })
        .where('run_key', '=', run)
        .where('id', '=', id)
        .where('decision', 'is', null)
        .where('asked_at', '>', now - this.openMs)
        .where('run_key', 'in', (row) =>
          row.selectFrom('runs').select('runs.key').where('runs.finished_at', 'is', null),
        )
        .returning('kind')
        .executeTakeFirst();
      const asked = await find(trx, run, id);
      if (asked === undefined) throw new Refusal('no-such-approval', 'this run has asked no such question');
      if (asked.decision === null) throw new Refusal('approval-over', 'this question is no longer open');
      if (first && decision === 'always') await grant(trx, run, first.kind, now);
      return { ...toldOf(asked, asked.decision), ours: asked.decided_key === key };
    });
  }

  /** All that people decided on in a run, for those who come when it is over. */
  async decidedIn(run: string): Promise<({ id: string } & Omit<Decided, 'ours'>)[]> {
    const rows = await this.db
      .selectFrom('approvals')
      .selectAll()
      .where('run_key', '=', run)
      .where('decided_key', 'is not', null)
      .orderBy('asked_at')
      .execute();
    return rows.flatMap((row) => (row.decision ? [{ id: row.id, ...toldOf(row, row.decision) }] : []));
  }

  async decided(run: string, id: string): Promise<Omit<Decided, 'ours'> | undefined> {
    const asked = await find(this.db, run, id);
    return asked?.decision ? toldOf(asked, asked.decision) : undefined;
  }
}

const toldOf = ({ decided_by }: ApprovalRow, decision: Verdict) => ({
  decision,
  ...(decided_by !== null && { by: decided_by }),
});

/** From now on that kind is agreed to in the run's chat. */
async function grant(trx: Trx, run: string, kind: string | null, now: number): Promise<void> {
  const of = await trx.selectFrom('runs').select('chat').where('key', '=', run).executeTakeFirst();
  if (kind === null || !of?.chat) return;
  // Locks the chat, so that nothing is left of one that is being deleted.
  const chat = await trx
    .updateTable('chats')
    .set((row) => ({ runs: row.ref('runs') }))
    .where('id', '=', of.chat)
    .returning('id')
    .executeTakeFirst();
  if (chat === undefined) return;
  await trx
    .insertInto('standing_approvals')
    .values({ chat: chat.id, kind, granted_at: now })
    .onConflict((conflict) => conflict.columns(['chat', 'kind']).doNothing())
    .execute();
}

function find(db: Database, run: string, id: string): Promise<ApprovalRow | undefined> {
  return db
    .selectFrom('approvals')
    .selectAll()
    .where('run_key', '=', run)
    .where('id', '=', id)
    .executeTakeFirst();
}
