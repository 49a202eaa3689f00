import type { Cancel, Clock } from '../time/clock.js';

/** How often it is looked whether a backup is due, milliseconds; and the first wait after one that failed. */
const LOOK_MS = 60_000;
/** The longest wait after one that failed, milliseconds. */
const LONGEST_MS = 3600_000;

export interface BackupScheduleOptions {
  everyMs: number;
  /** When the newest good backup was made, milliseconds since 1970; undefined when there is none. Never rejects. */
  newest: () => Promise<number | undefined>;
  /** Resolves whatever comes of it: to whether it was made. */
  make: () => Promise<boolean>;
  clock: Clock;
}

/**
 * Makes a backup when the newest good one is older than `everyMs`, also when that time passed while no process ran. One
 * that failed is tried again, after a wait that doubles. A clock that was set back makes one early rather than never.
 */
export class BackupSchedule {
  readonly #stop: Cancel;
  #looking: Promise<void> | undefined;
  #failures = 0;
  /** Monotonic; not before this. */
  #next = 0;

  constructor(private readonly options: BackupScheduleOptions) {
    const { clock, everyMs } = options;
    this.#stop = clock.every(Math.min(LOOK_MS, everyMs), () => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    });
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stop();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { clock, everyMs, newest, make } = this.options;
    if (clock.monotonic() < this.#next) return;
    const made = await newest();
    const age = made === undefined ? Infinity : clock.now() - made;
    if (age >= 0 && age < everyMs) return;
    this.#failures = (await make()) ? 0 : this.#failures + 1;
    const wait = Math.min(LOOK_MS * 2 ** (this.#failures - 1), LONGEST_MS, everyMs);
    if (this.#failures > 0) this.#next = clock.monotonic() + wait;
  }
}
