import type { Cancel, Clock } from '../../time/clock.js';

/** What goes first once a hold is over; within a class the one that waits longest. */
export const classes = ['answer', 'state'] as const;
export type SendClass = (typeof classes)[number];

interface Waiting {
  rank: number;
  place: number;
  go: () => void;
  fail: (error: Error) => void;
}

/** A send that is not answered for so long keeps the next one waiting no longer. */
const NEXT_AFTER_MS = 1000;

/**
 * Sends that wait for the account's hold to end. They go one at a time, so that the first tells whether the next may:
 * all at once would be refused all but one, again and again. Nothing leaves but by going, or by its own signal.
 */
export class Turns {
  private readonly queue: Waiting[] = [];
  private timer: Cancel | undefined;
  private underWay: object | undefined;
  private last = -Infinity;
  /** Ms from one to the next: as often as the homeserver let one through. */
  paceMs = 0;

  constructor(
    private readonly clock: Clock,
    private readonly heldUntil: () => number,
  ) {}

  /** Whoever comes now has to wait. */
  busy(): boolean {
    return this.queue.length > 0 || this.underWay !== undefined || this.heldUntil() > this.clock.monotonic();
  }

  waiting(): number {
    return this.queue.length;
  }

  /** Resolves when it may go, to what must be called when that send is over. `place` is kept over several tries. */
  take(of: SendClass, place: number, signal: AbortSignal | undefined): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.queue.indexOf(waiting);
        if (at >= 0) this.queue.splice(at, 1);
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        leave();
        reject(signal?.reason as Error);
      };
      const waiting: Waiting = {
        rank: classes.indexOf(of),
        place,
        go: () => {
          leave();
          const ticket = (this.underWay = {});
          resolve(() => this.over(ticket));
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      if (signal?.aborted) return reject(signal.reason as Error);
      signal?.addEventListener('abort', onAbort, { once: true });
      const behind = this.queue.findIndex((other) => isBefore(waiting, other));
      this.queue.splice(behind < 0 ? this.queue.length : behind, 0, waiting);
      this.look();
    });
  }

  /** Looks who may go now; to be called too when the hold has changed. */
  look(): void {
    this.timer?.();
    this.timer = undefined;
    const [next] = this.queue;
    if (next === undefined) return;
    const now = this.clock.monotonic();
    const after = this.underWay === undefined ? this.paceMs : NEXT_AFTER_MS;
    const due = Math.max(this.heldUntil(), this.last + after) - now;
    if (due > 0) {
      this.timer = this.clock.after(Math.max(1, due), () => this.look());
      return;
    }
    this.last = now;
    next.go();
    this.look();
  }

  close(error: Error): void {
    this.timer?.();
    for (const waiting of [...this.queue]) waiting.fail(error);
  }

  private over(ticket: object): void {
    if (this.underWay === ticket) this.underWay = undefined;
    this.look();
  }
}

const isBefore = (one: Waiting, other: Waiting): boolean =>
  one.rank < other.rank || (one.rank === other.rank && one.place < other.place);
