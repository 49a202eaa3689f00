import type { WebSocket } from 'ws';
import type { Cancel, Clock } from '../time/clock.js';

export interface IntakeLimits {
  /** Frames a second in the long run. */
  framesPerSecond: number;
  /** Frames that may come at once after a quiet time. */
  burst: number;
  /** Bytes handed over and not yet dealt with, above which nothing more is read. */
  pendingBytes: number;
}

export const defaultIntake: IntakeLimits = {
  framesPerSecond: 5_000,
  burst: 20_000,
  pendingBytes: 8 * 1024 * 1024,
};

/** What a message costs beside its bytes, so that empty ones are not free. */
const perMessage = 512;

/**
 * How fast one connection is read. What is too much is left in the sender's own buffers instead of ending the
 * connection: a replica that fills itself is not told from one that floods.
 */
export class Intake {
  #tokens: number;
  #refilledAt: number;
  #pending = 0;
  #waiting: Cancel | undefined;
  #closed = false;

  constructor(
    private readonly socket: WebSocket,
    private readonly clock: Clock,
    private readonly limits: IntakeLimits,
    private readonly throttled: () => void,
  ) {
    this.#tokens = limits.burst;
    this.#refilledAt = clock.monotonic();
  }

  frame(): void {
    const now = this.clock.monotonic();
    const { framesPerSecond, burst } = this.limits;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#refilledAt) * framesPerSecond) / 1000) - 1;
    this.#refilledAt = now;
    if (this.#tokens >= 0 || this.#waiting || this.#closed) return;
    this.throttled();
    // At least 10 ms, so that a flood is read in batches and not one frame per timer.
    this.#waiting = this.clock.after(Math.max(10, (-this.#tokens * 1000) / framesPerSecond), () => {
      this.#waiting = undefined;
      this.#apply();
    });
    this.#apply();
  }

  handedOver(bytes: number): void {
    this.#pending += bytes + perMessage;
    this.#apply();
  }

  dealtWith(bytes: number): void {
    this.#pending -= bytes + perMessage;
    this.#apply();
  }

  /** Bytes handed over and not yet dealt with. */
  get pending(): number {
    return this.#pending;
  }

  close(): void {
    this.#closed = true;
    this.#waiting?.();
    this.#waiting = undefined;
    // A paused socket would never see the other side's close frame.
    if (this.socket.isPaused) this.socket.resume();
  }

  #apply(): void {
    if (this.#closed) return;
    const pause = this.#waiting !== undefined || this.#pending > this.limits.pendingBytes;
    if (pause && !this.socket.isPaused) this.socket.pause();
    else if (!pause && this.socket.isPaused) this.socket.resume();
  }
}
