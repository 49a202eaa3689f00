import type { Log } from '../../telemetry/log.js';
import type { Cancel, Clock } from '../../time/clock.js';

export interface ScheduleContext {
  /** Milliseconds between two looks, on average. */
  everyMs: number;
  /** Shards that have grown enough. */
  due: () => readonly number[];
  /** Milliseconds until this replica may cut a shard that has been due since `since` (monotonic). */
  turn: (shard: number, since: number) => number;
  /** Cuts those of the shards that are still due. */
  cut: (shards: ReadonlySet<number>) => Promise<number>;
  clock: Clock;
  log: Log;
  /** From 0 to 1, so that replicas do not all look at once. */
  random?: () => number;
}

/** Has shards cut when they have grown enough, by the replica whose turn it is (PROTOCOL A6). */
export class CutSchedule {
  readonly #since = new Map<number, number>();
  #cancel: Cancel = () => {};
  #stopped = false;

  constructor(private readonly context: ScheduleContext) {
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #next(): void {
    if (this.#stopped) return;
    const { clock, everyMs, log, random = Math.random } = this.context;
    this.#cancel = clock.after(everyMs * (0.5 + random()), () => {
      this.#look()
        .catch((error: unknown) => {
          if (!this.#stopped) log.error({ err: error }, 'shards that are due could not be cut: tried again');
        })
        .finally(() => this.#next());
    });
  }

  async #look(): Promise<void> {
    const { clock, due, turn, cut } = this.context;
    const now = clock.monotonic();
    const shards = new Set(due());
    for (const shard of this.#since.keys()) if (!shards.has(shard)) this.#since.delete(shard);
    for (const shard of shards) {
      const since = this.#since.get(shard) ?? now;
      this.#since.set(shard, since);
      if (turn(shard, since) > 0) shards.delete(shard);
    }
    if (shards.size > 0) await cut(shards);
  }
}
