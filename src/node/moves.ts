import type { Touched } from '../documents/document.js';
import type { Log } from '../telemetry/log.js';
import type { Records } from './records.js';

export interface MovesContext {
  records: Pick<Records, 'rooms' | 'shardsByRecord' | 'ofRoom'>;
  /** The actors of these records are read anew. */
  reload: (records: readonly Touched[]) => void;
  /** A handler threw. */
  failed: () => void;
  log: Log;
}

/** What is read from another place than before: a shard from its next generation, a room's actors from another shard. */
export class Moves {
  readonly #handlers = new Set<(shard: number) => void>();
  /** Records that stand otherwise, until their actors are read anew: in one go for all that move together. */
  #moving: Touched[] | undefined;
  /** Where the actors of each room were looked for when its record was last touched, besides the room's own shard. */
  readonly #looked = new Map<string, readonly number[]>();

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

  /** What a room's actors have in a shard may have come before the record by which they are looked for there. */
  roomTouched(key: string, index: number): void {
    const { records } = this.context;
    records.rooms.add(key, index);
    const before = this.#looked.get(key) ?? [];
    const shards = records.shardsByRecord(key);
    this.#looked.set(key, shards);
    const held = shards
      .filter((shard) => !before.includes(shard))
      .flatMap((shard) => records.ofRoom(key, shard));
    if (held.length > 0) this.#readAnew(held);
  }

  #readAnew(records: readonly Touched[]): void {
    if (this.#moving === undefined) queueMicrotask(() => this.#reload());
    this.#moving = [...(this.#moving ?? []), ...records];
  }

  #reload(): void {
    const records = this.#moving ?? [];
    this.#moving = undefined;
    this.context.reload(records);
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
