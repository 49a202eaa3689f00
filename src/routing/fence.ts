import type { Clock } from '../time/clock.js';

/**
 * Notices that this process stood still (SIGSTOP, suspend) or that a clock jumped, by comparing the time between
 * two ticks on both clocks with the lease (PROTOCOL O4: the monotonic clock stands still in suspend, the wall
 * clock does not). After a jump nothing is sent before the timeline was read again (D5).
 */
export class Fence {
  private wall: number;
  private monotonic: number;
  private jumps = 0;
  private answered = 0;
  private readonly stop: () => void;

  constructor(
    private readonly clock: Clock,
    private readonly leaseMs: number,
    private readonly onJump: (ms: number) => void,
  ) {
    this.wall = clock.now();
    this.monotonic = clock.monotonic();
    this.stop = clock.every(Math.max(20, leaseMs / 6), () => this.check());
  }

  /** True when the timeline must be read again before anything is sent. Looks at the clocks itself, so that a
   * send that runs before the first timer after a thaw is stopped too. */
  raised(): boolean {
    this.check();
    return this.jumps > this.answered;
  }

  raise(): void {
    this.jumps += 1;
  }

  /** Taken before the timeline is read; {@link lower} with it forgives only what had happened by then. */
  mark(): number {
    this.check();
    return this.jumps;
  }

  /** The timeline was read, by a request made after `mark` was taken. */
  lower(mark: number): void {
    this.answered = Math.max(this.answered, mark);
  }

  close(): void {
    this.stop();
  }

  private check(): void {
    const wall = this.clock.now();
    const monotonic = this.clock.monotonic();
    const jump = Math.max(Math.abs(wall - this.wall), monotonic - this.monotonic);
    this.wall = wall;
    this.monotonic = monotonic;
    if (jump <= this.leaseMs) return;
    this.jumps += 1;
    this.onJump(jump);
  }
}
