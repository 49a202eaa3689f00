import { systemClock, type Clock } from '../../src/index.js';

/** A clock that can be set forward, and on which waiting is short. */
export class MovedClock implements Clock {
  #ahead = 0;

  constructor(private readonly faster = 1) {}

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  after(ms: number, run: () => void): () => void {
    return systemClock.after(ms / this.faster, run);
  }

  every(ms: number, run: () => void): () => void {
    return systemClock.every(ms / this.faster, run);
  }

  pass(ms: number): void {
    this.#ahead += ms;
  }
}
