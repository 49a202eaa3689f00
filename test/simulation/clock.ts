import type { Cancel, Clock } from '../../src/time/clock.js';

interface Timer {
  due: number;
  /** Order of arming, for timers due at one instant. */
  order: number;
  run: () => void;
  every?: number;
}

/** Lets everything that waits on promises only run until it waits on something else. */
export async function settle(turns = 3): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until {@link SimulatedClock.advance}. Starts at a fixed date, so that runs are alike. */
export class SimulatedClock implements Clock {
  #wall: number;
  #monotonic = 0;
  #order = 0;
  #timers = new Set<Timer>();

  constructor(start = Date.UTC(2030, 0, 1)) {
    this.#wall = start;
  }

  now(): number {
    return Math.floor(this.#wall);
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, run: () => void): Cancel {
    return this.#arm({ due: this.#monotonic + Math.max(0, ms), order: this.#order++, run });
  }

  every(ms: number, run: () => void): Cancel {
    return this.#arm({ due: this.#monotonic + ms, order: this.#order++, run, every: Math.max(1, ms) });
  }

  /** Runs the timers due within the next `ms`, in order, and lets promises settle before, between and after them. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#moveTo(next.due);
      if (next.every === undefined) this.#timers.delete(next);
      else Object.assign(next, { due: next.due + next.every, order: this.#order++ });
      next.run();
      await settle();
    }
    this.#moveTo(end);
  }

  /** Advances in steps until `condition` holds; fails after `limitMs` of simulated time. */
  async advanceUntil(condition: () => boolean, limitMs = 60_000, stepMs = 10): Promise<void> {
    const end = this.#monotonic + limitMs;
    await settle();
    while (!condition()) {
      if (this.#monotonic >= end) throw new Error(`not so within ${limitMs} ms of simulated time`);
      await this.advance(stepMs);
    }
  }

  /** The machine sleeps: the wall clock goes on, the monotonic one and all timers stand still. */
  suspend(ms: number): void {
    this.#wall += ms;
  }

  /** How many timers are armed, to find what was not cancelled. */
  get armed(): number {
    return this.#timers.size;
  }

  #arm(timer: Timer): Cancel {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.due > end) continue;
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order))
        first = timer;
    }
    return first;
  }

  #moveTo(monotonic: number): void {
    this.#wall += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}

/**
 * One process's view of a clock: with an own error of its wall clock, and it can be frozen (SIGSTOP): its timers
 * that fall due meanwhile run at the thaw, while both clocks go on.
 */
export class ProcessClock implements Clock {
  #frozen = false;
  #killed = false;
  #overdue = new Set<() => void>();
  #armed = new Set<Cancel>();

  constructor(
    private readonly world: Clock,
    private readonly wallErrorMs = 0,
  ) {}

  now(): number {
    return this.world.now() + this.wallErrorMs;
  }

  monotonic(): number {
    return this.world.monotonic();
  }

  after(ms: number, run: () => void): Cancel {
    if (this.#killed) return () => {};
    const cancel = this.#arm(
      this.world.after(ms, () => {
        this.#armed.delete(cancel);
        this.#runOrKeep(run);
      }),
      run,
    );
    return cancel;
  }

  every(ms: number, run: () => void): Cancel {
    if (this.#killed) return () => {};
    return this.#arm(
      this.world.every(ms, () => this.#runOrKeep(run)),
      run,
    );
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    const overdue = [...this.#overdue];
    this.#overdue.clear();
    for (const run of overdue) run();
  }

  /** SIGKILL: nothing of this process runs any more. */
  kill(): void {
    this.#killed = true;
    this.#overdue.clear();
    for (const cancel of [...this.#armed]) cancel();
  }

  #arm(ofWorld: Cancel, run: () => void): Cancel {
    const cancel = () => {
      ofWorld();
      this.#armed.delete(cancel);
      this.#overdue.delete(run);
    };
    this.#armed.add(cancel);
    return cancel;
  }

  #runOrKeep(run: () => void): void {
    if (this.#frozen) this.#overdue.add(run);
    else run();
  }
}
