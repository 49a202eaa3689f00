import type { Log } from '../../telemetry/log.js';
import { sleep, type Clock } from '../../time/clock.js';
import type { EventLog } from './event-log.js';
import { RunFeed } from './feed.js';
import { endOf, type Runs } from './runs.js';

/** Feeds of runs that another platform process carries out, read from the database while someone listens. */
export class Followers {
  private readonly feeds = new Map<string, RunFeed>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly runs: Runs,
    private readonly eventLog: EventLog,
    private readonly clock: Clock,
    private readonly pollMs: number,
    private readonly log: Log,
  ) {}

  follow(key: string): RunFeed {
    const already = this.feeds.get(key);
    if (already?.open) return already;
    const feed = new RunFeed();
    this.feeds.set(key, feed);
    void this.pump(key, feed)
      .catch((error: unknown) => {
        if (!this.stopping.signal.aborted)
          this.log.warn({ run: key, error: String(error) }, 'run not followed');
      })
      .finally(() => {
        if (!this.follows(key, feed)) return;
        feed.cut();
        this.feeds.delete(key);
      });
    return feed;
  }

  /** The feed of a run that we carry out ourselves from now on; following it ends, its readers stay. */
  handOver(key: string): RunFeed | undefined {
    const feed = this.feeds.get(key);
    this.feeds.delete(key);
    return feed?.open ? feed : undefined;
  }

  stop(): void {
    this.stopping.abort(new Error('the platform is stopping'));
    for (const feed of this.feeds.values()) feed.cut();
  }

  private async pump(key: string, feed: RunFeed): Promise<void> {
    let invocation = 0;
    let next = 0;
    do {
      // The record before the events: a run that ends in between is seen as ended in the next round.
      const record = await this.runs.find(key);
      if (!record || !this.follows(key, feed)) return;
      const end = endOf(record);
      if (end) {
        feed.end(end);
        return;
      }
      const page = await this.eventLog.read(key, invocation, next);
      if (!this.follows(key, feed)) return;
      if (page.invocation !== invocation) feed.restart();
      ({ invocation, next } = page);
      for (const event of page.events) feed.push(event);
      await sleep(this.clock, this.pollMs, this.stopping.signal);
    } while (feed.open && feed.readers > 0);
  }

  private follows(key: string, feed: RunFeed): boolean {
    return this.feeds.get(key) === feed;
  }
}
