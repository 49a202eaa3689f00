import { randomUUID } from 'node:crypto';
import type { Log } from '../../telemetry/log.js';
import type { Cancel, Clock } from '../../time/clock.js';
import type { Executor } from './executor.js';
import type { Followers } from './follower.js';
import type { Runs } from './runs.js';
import type { Database } from './tables.js';

/**
 * The platform processes on one shared database. Each raises its beat; one whose beat stands still for a
 * lease, by the observer's own monotonic clock, is struck off and its runs are taken over. A process that
 * finds itself struck off (it was frozen) drops its runs and comes back under a new id: what it still had to
 * write under the old one no longer matches.
 */
export class Membership {
  private processId = randomUUID();
  private readonly seen = new Map<string, { beat: number; at: number }>();
  private timer: Cancel | undefined;
  private ticking: Promise<void> | undefined;

  constructor(
    private readonly services: {
      db: Database;
      runs: Runs;
      executor: Executor;
      followers: Followers | undefined;
      clock: Clock;
      log: Log;
    },
    private readonly leaseMs: number,
    private readonly shared: boolean,
  ) {}

  get id(): string {
    return this.processId;
  }

  /** Alone on the database, every other process is dead by proof (we hold the file's lock). */
  async join(): Promise<void> {
    const { db, clock } = this.services;
    if (!this.shared) await db.deleteFrom('processes').execute();
    await this.register();
    await this.adopt();
    if (this.shared) {
      this.timer = clock.every(this.leaseMs / 3, () => {
        this.ticking ??= this.tick().finally(() => {
          this.ticking = undefined;
        });
      });
    }
  }

  /** Our runs are orphans from now on, free to be taken over at once. */
  async leave(): Promise<void> {
    this.timer?.();
    await this.ticking;
    await this.services.db.deleteFrom('processes').where('id', '=', this.processId).execute();
  }

  private async tick(): Promise<void> {
    try {
      await this.beat();
      await this.strikeOff();
      await this.adopt();
      await this.reconcile();
    } catch (error) {
      this.services.log.warn({ error: (error as Error).message }, 'no beat: database access failed');
    }
  }

  private async register(): Promise<void> {
    await this.services.db.insertInto('processes').values({ id: this.processId, beat: 0 }).execute();
  }

  private async beat(): Promise<void> {
    const { db, executor, log } = this.services;
    const listed = await db
      .updateTable('processes')
      .set((row) => ({ beat: row('beat', '+', 1) }))
      .where('id', '=', this.processId)
      .returning('id')
      .executeTakeFirst();
    if (listed) return;
    log.warn({ process: this.processId }, 'was taken for dead, begins again under a new id');
    await executor.abortAll();
    this.processId = randomUUID();
    await this.register();
  }

  private async strikeOff(): Promise<void> {
    const { db, clock, log } = this.services;
    const processes = await db
      .selectFrom('processes')
      .selectAll()
      .where('id', '!=', this.processId)
      .execute();
    const now = clock.monotonic();
    for (const { id, beat } of processes) {
      const last = this.seen.get(id);
      if (last?.beat !== beat) this.seen.set(id, { beat, at: now });
      else if (now - last.at > this.leaseMs) {
        log.warn({ process: id }, 'another platform process has died');
        await db.deleteFrom('processes').where('id', '=', id).where('beat', '=', beat).execute();
      }
    }
    const listed = new Set(processes.map((process) => process.id));
    for (const id of this.seen.keys()) if (!listed.has(id)) this.seen.delete(id);
  }

  private async adopt(): Promise<void> {
    const { runs, executor, followers, log } = this.services;
    for (const run of await runs.adoptOrphans(this.processId)) {
      log.info({ run: run.key, chat: run.chat }, 'took up an unfinished run');
      executor.ensure(run, this.processId, followers?.handOver(run.key));
    }
  }

  /**
   * Drops the runs that were cancelled through another process or taken from us, and takes up those of ours
   * whose begin was committed while its caller only saw the connection break.
   */
  private async reconcile(): Promise<void> {
    const { runs, executor } = this.services;
    const live = executor.liveKeys();
    const ours = new Map((await runs.ofExecutor(this.processId)).map((run) => [run.key, run]));
    for (const key of live) if (!ours.has(key)) executor.abort(key);
    for (const run of ours.values()) executor.ensure(run, this.processId);
  }
}
