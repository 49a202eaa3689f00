import type { Cancel, Clock } from '../time/clock.js';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 10_000;
const LARGEST_BATCH = 256;

interface Ticket<Op> {
  op: Op;
  done: (() => void)[];
}

/** What a batch could not do: the operation's id and why. */
export type Failures = Map<string, unknown>;

export interface WriteQueueOptions<Op> {
  clock: Clock;
  /** Carries a batch out. What it does not name as failed is on disk. Must not reject. */
  commit: (batch: ReadonlyMap<string, Op>) => Promise<Failures>;
  /** Whether doing the one is as good as doing the other. */
  same: (one: Op, other: Op) => boolean;
  onFailure: (failures: Failures, attempt: number, retryMs: number) => void;
  onRestored: (attempts: number) => void;
}

/**
 * Group commit: what is asked for while a batch is on its way goes together in the next one, and shares its
 * flushes. Of two operations on one id the later counts. What fails is kept and tried again, 100 ms later at
 * first, then up to 10 s; its promise stays open until it is done, so a resolved promise is always the truth.
 */
export class WriteQueue<Op> {
  readonly #options: WriteQueueOptions<Op>;
  readonly #queued = new Map<string, Ticket<Op>>();
  readonly #failed = new Map<string, Ticket<Op>>();
  #committing = new Map<string, Ticket<Op>>();
  /** Ids that failed and are not done since, wherever they wait: also those whose turn has come again. */
  readonly #refused = new Set<string>();
  #running = false;
  #attempts = 0;
  #retry: Cancel | undefined;

  constructor(options: WriteQueueOptions<Op>) {
    this.#options = options;
  }

  /** Resolves when the operation, or a later one on the same id, is done. Never rejects. */
  put(id: string, op: Op): Promise<void> {
    return new Promise((resolve) => {
      const committing = this.#committing.get(id);
      if (committing && !this.#queued.has(id) && this.#options.same(committing.op, op)) {
        committing.done.push(resolve);
        return;
      }
      const earlier = this.#queued.get(id) ?? this.#failed.get(id);
      this.#failed.delete(id);
      this.#queued.set(id, { op, done: [...(earlier?.done ?? []), resolve] });
      this.#start();
    });
  }

  /** The operation on this id that is not yet done. */
  get(id: string): Op | undefined {
    return (this.#queued.get(id) ?? this.#failed.get(id) ?? this.#committing.get(id))?.op;
  }

  /** All operations that are not yet done, the latest per id. */
  pending(): Map<string, Op> {
    const all = new Map<string, Op>();
    for (const tickets of [this.#committing, this.#failed, this.#queued]) {
      for (const [id, ticket] of tickets) all.set(id, ticket.op);
    }
    return all;
  }

  /** Whether the last attempt at something still waiting has failed. */
  get failing(): boolean {
    return this.#attempts > 0;
  }

  /** Resolves when everything asked for up to now is done. */
  async settled(): Promise<void> {
    const open: Promise<void>[] = [];
    for (const tickets of [this.#committing, this.#failed, this.#queued]) {
      for (const ticket of tickets.values()) {
        open.push(new Promise((resolve) => ticket.done.push(resolve)));
      }
    }
    await Promise.all(open);
  }

  /** Stops trying again; what has failed stays undone. */
  stop(): void {
    this.#retry?.();
    this.#retry = undefined;
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    // One turn of the event loop, so that operations asked for together share the batch.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#queued.size > 0) {
      for (const [id, ticket] of this.#queued) {
        if (this.#committing.size === LARGEST_BATCH) break;
        this.#committing.set(id, ticket);
        this.#queued.delete(id);
      }
      const batch = new Map([...this.#committing].map(([id, ticket]) => [id, ticket.op]));
      const failures = await this.#options.commit(batch);
      const committed = this.#committing;
      this.#committing = new Map();
      for (const [id, ticket] of committed) {
        if (failures.has(id)) {
          this.#refused.add(id);
          this.#keep(id, ticket);
          continue;
        }
        this.#refused.delete(id);
        for (const done of ticket.done) done();
      }
      this.#report(failures);
    }
    this.#running = false;
  }

  #keep(id: string, ticket: Ticket<Op>): void {
    const later = this.#queued.get(id);
    if (later) later.done.unshift(...ticket.done);
    else this.#failed.set(id, ticket);
  }

  #report(failures: Failures): void {
    if (failures.size > 0) {
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#attempts, 16), LAST_RETRY_MS);
      // Later batches that fail while a retry is due wait for it; they do not push it further away.
      if (!this.#retry) {
        this.#attempts += 1;
        this.#retry = this.#options.clock.after(retryMs, () => this.#tryAgain());
      }
      this.#options.onFailure(failures, this.#attempts, retryMs);
    } else if (this.#attempts > 0 && this.#refused.size === 0) {
      const attempts = this.#attempts;
      this.#attempts = 0;
      this.stop();
      this.#options.onRestored(attempts);
    }
  }

  #tryAgain(): void {
    this.#retry = undefined;
    // No id is in both maps: `put` takes it out of the one, `#keep` leaves it in the other.
    for (const [id, ticket] of this.#failed) this.#queued.set(id, ticket);
    this.#failed.clear();
    this.#start();
  }
}
