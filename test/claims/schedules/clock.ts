import type { Cancel, Clock } from '../../../src/time/clock.js';
import { ProcessClock, type SimulatedClock } from '../../simulation/clock.js';

/** The clock of one process, that goes wrong by a little, and whose wall clock may be set. */
export class DriftingClock implements Clock {
  readonly #process: ProcessClock;
  #wallErrorMs = 0;

  constructor(
    private readonly world: SimulatedClock,
    /** Its milliseconds in a true one. */
    private readonly rate: number,
  ) {
    this.#process = new ProcessClock(world);
  }

  now(): number {
    return Math.floor(this.world.now() + this.#wallErrorMs);
  }

  monotonic(): number {
    return this.world.monotonic() * this.rate;
  }

  after(ms: number, run: () => void): Cancel {
    return this.#process.after(ms / this.rate, run);
  }

  every(ms: number, run: () => void): Cancel {
    return this.#process.every(ms / this.rate, run);
  }

  step(ms: number): void {
    this.#wallErrorMs += ms;
  }

  freeze(): void {
    this.#process.freeze();
  }

  thaw(): void {
    this.#process.thaw();
  }

  kill(): void {
    this.#process.kill();
  }
}
