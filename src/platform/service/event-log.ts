import type { Log } from '../../telemetry/log.js';
import { sleep, type Clock } from '../../time/clock.js';
import { runEventLine } from '../wire.js';
import type { RunEvent } from '../client.js';
import type { Database, Tables } from './tables.js';

const FLUSH_MS = 150;
const ROWS_PER_INSERT = 500;

/** Events of one invocation, from a sequence number on. */
export interface EventPage {
  invocation: number;
  /** Sequence number to go on from. */
  next: number;
  events: RunEvent[];
}

/**
 * Events of runs in progress, written for the other platform processes on the database, many at a time. A help
 * for live streams only: what is lost here is in the run's final text.
 */
export class EventLog {
  private pending: Tables['run_events'][] = [];
  private flushing: Promise<void> | undefined;

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  append(run_key: string, invocation: number, seq: number, event: RunEvent): void {
    this.pending.push({ run_key, invocation, seq, event: JSON.stringify(event) });
    this.flushing ??= this.flushLater();
  }

  /** Events of a run's latest invocation, from `from` on if that is still invocation `seen`, else from its start. */
  async read(run: string, seen: number, from: number): Promise<EventPage> {
    const rows = await this.db
      .selectFrom('run_events')
      .selectAll()
      .where('run_key', '=', run)
      .where((row) =>
        row.or([
          row('invocation', '>', seen),
          row.and([row('invocation', '=', seen), row('seq', '>=', from)]),
        ]),
      )
      .orderBy('invocation')
      .orderBy('seq')
      .execute();
    const invocation = rows.at(-1)?.invocation ?? seen;
    const latest = rows.filter((row) => row.invocation === invocation);
    const events = latest.map((row) => runEventLine.parse(JSON.parse(row.event)));
    return { invocation, next: (latest.at(-1)?.seq ?? from - 1) + 1, events };
  }

  async close(): Promise<void> {
    await this.flushing;
  }

  private async flushLater(): Promise<void> {
    while (this.pending.length > 0) {
      await sleep(this.clock, FLUSH_MS);
      await this.flush();
    }
    this.flushing = undefined;
  }

  private async flush(): Promise<void> {
    const rows = this.pending;
    this.pending = [];
    try {
      for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
        await this.db
          .insertInto('run_events')
          .values(rows.slice(at, at + ROWS_PER_INSERT))
          .onConflict((conflict) => conflict.columns(['run_key', 'invocation', 'seq']).doNothing())
          .execute();
      }
    } catch (error) {
      this.log.warn({ events: rows.length, error: (error as Error).message }, 'live events not shared');
    }
  }
}
