import type { DurableStorage } from '../../storage/durable.js';
import type { Clock } from '../../time/clock.js';
import type { KnownWindows } from './window-file.js';

export interface SweepContext {
  known: KnownWindows;
  storage: Pick<DurableStorage, 'removeRange'>;
  clock: Clock;
  /** Whether a document is open, or being closed. */
  held(id: string): boolean;
  failed(error: unknown): void;
}

/** Takes documents of windows that are over from the disk, also those of namespaces that nobody opens any more. */
export class Sweep {
  #running = false;

  constructor(private readonly context: SweepContext) {}

  /** Nobody waits for it, because it waits for the disk. One that is under way is enough: what it misses is next. */
  begin(): void {
    if (this.#running) return;
    this.#running = true;
    this.#run()
      .catch((error: unknown) => this.context.failed(error))
      .finally(() => {
        this.#running = false;
      });
  }

  async #run(): Promise<void> {
    const { known, storage, clock } = this.context;
    const isOver = ({ id, overAt }: { id: string; overAt: number }): boolean =>
      clock.now() >= overAt && !this.context.held(id);
    const over = known.all().filter(isOver);
    for (const { id } of over) await storage.removeRange([id]);
    // A clock that was set back may have brought one back meanwhile.
    if (over.length > 0) await known.end(over.filter(isOver).map(({ id }) => id));
  }
}
