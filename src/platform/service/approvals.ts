import type { Decision } from '../backends/backend.js';
import { Refusal } from './errors.js';
import type { Database } from './tables.js';

/** Questions that runs put to a person. The first decision per question counts (P5). */
export class Approvals {
  constructor(
    private readonly db: Database,
    private readonly now: () => number,
  ) {}

  /** Resolves to when it was first asked, in milliseconds since the epoch. */
  async ask(run: string, id: string): Promise<number> {
    await this.db
      .insertInto('approvals')
      .values({ run_key: run, id, asked_at: this.now(), decision: null, decided_at: null })
      .onConflict((conflict) => conflict.columns(['run_key', 'id']).doNothing())
      .execute();
    return (await this.find(run, id))?.asked_at ?? this.now();
  }

  /** Resolves to the decision that holds, which may be an earlier one. */
  async decide(run: string, id: string, decision: Decision): Promise<Decision> {
    await this.db
      .updateTable('approvals')
      .set({ decision, decided_at: this.now() })
      .where('run_key', '=', run)
      .where('id', '=', id)
      .where('decision', 'is', null)
      .execute();
    const holds = (await this.find(run, id))?.decision;
    if (!holds) throw new Refusal('no-such-approval', 'this run has asked no such question');
    return holds;
  }

  async decision(run: string, id: string): Promise<Decision | undefined> {
    return (await this.find(run, id))?.decision ?? undefined;
  }

  private find(run: string, id: string) {
    return this.db
      .selectFrom('approvals')
      .selectAll()
      .where('run_key', '=', run)
      .where('id', '=', id)
      .executeTakeFirst();
  }
}
