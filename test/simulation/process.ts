import { ProcessClock, type SimulatedClock } from './clock.js';

/** One operating-system process: it runs, stands still (SIGSTOP), or is gone (SIGKILL), and nothing of it goes on then. */
export class SimulatedProcess {
  readonly clock: ProcessClock;
  #killed = false;
  #thaw: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(
    readonly world: SimulatedClock,
    wallErrorMs = 0,
  ) {
    this.clock = new ProcessClock(world, wallErrorMs);
  }

  get alive(): boolean {
    return !this.#killed;
  }

  get running(): boolean {
    return !this.#killed && this.#thaw === undefined;
  }

  /** Resolves while it runs; after the thaw while it stands still; never once it is gone. */
  async gate(): Promise<void> {
    while (this.#thaw) await this.#thaw.promise;
    if (this.#killed) await new Promise<never>(() => {});
  }

  /** A wait of simulated time for something outside of the process, such as a disk: it ends also while that stands still. */
  outside(ms: number): Promise<void> {
    return new Promise((resolve) => void this.world.after(ms, resolve));
  }

  freeze(): void {
    if (!this.running) return;
    this.clock.freeze();
    let resolve = () => {};
    const promise = new Promise<void>((done) => (resolve = done));
    this.#thaw = { promise, resolve };
  }

  thaw(): void {
    const thaw = this.#thaw;
    this.#thaw = undefined;
    this.clock.thaw();
    thaw?.resolve();
  }

  kill(): void {
    this.#killed = true;
    this.clock.kill();
  }
}
