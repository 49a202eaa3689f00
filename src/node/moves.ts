import type { Touched } from '../documents/document.js';
import type { Log } from '../telemetry/log.js';

export interface MovesContext {
  /** The actors of these records are read anew. */
  reload: (records: readonly Touched[]) => void;
  /** A handler threw. */
  failed: () => void;
  log: Log;
}

/** Shards that are read from another generation than before. */
export class Moves {
  readonly #handlers = new Set<(shard: number) => void>();
  /** Records that stand otherwise, until their actors are read anew: in one go for all that move together. */
  #moving: Touched[] | undefined;

  constructor(private readonly context: MovesContext) {}

  /** Told of each shard that went over to another generation. */
  on(handle: (shard: number) => void): () => void {
    this.#handlers.add(handle);
    return () => this.#handlers.delete(handle);
  }

  /** A shard is read from another generation, which differs in these records. */
  moved(shard: number, touched: readonly Touched[]): void {
    this.#readAnew(touched);
    for (const handle of this.#handlers) queueMicrotask(() => this.#tell(handle, shard));
  }

  /** These records stand otherwise although their shard did not move. */
  reread(records: readonly Touched[]): void {
    this.#readAnew(records);
  }

  #readAnew(records: readonly Touched[]): void {
    if (this.#moving === undefined) queueMicrotask(() => this.#reload());
    this.#moving = [...(this.#moving ?? []), ...records];
  }

  #reload(): void {
    const records = this.#moving ?? [];
    this.#moving = undefined;
    try {
      this.context.reload(records);
    } catch (error) {
      this.context.failed();
      this.context.log.error({ err: error }, 'actors of a shard that moved could not be read anew');
    }
  }

  #tell(handle: (shard: number) => void, shard: number): void {
    try {
      handle(shard);
    } catch (error) {
      this.context.failed();
      this.context.log.error({ err: error, shard }, 'a handler of generations threw');
    }
  }
}
