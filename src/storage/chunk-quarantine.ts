import { join } from 'node:path';
import type { StorageKey } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { moveDurably } from './atomic-write.js';
import type { Durability } from './atomic-write.js';
import { ASIDE, flatName, isLeaf, placeOfKey } from './chunk-key.js';
import type { ChunkOp } from './chunk-store.js';
import { errnoOf } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import type { FsChunksOptions } from './fs-options.js';

/** Takes what is no chunk out of the way of those that are. */
export class ChunkQuarantine {
  readonly #dir: string;
  readonly #files: FileLayer;
  readonly #durability: Durability;
  readonly #log: Log;
  readonly #clock: Clock;

  constructor({ dir, files, durability, log, clock }: FsChunksOptions) {
    this.#dir = dir;
    this.#files = files;
    this.#durability = durability;
    this.#log = log;
    this.#clock = clock;
  }

  /** Does it, once more when a folder that stood in the place of a file has been moved away. */
  async clearing<T>(key: StorageKey, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const place = placeOfKey(key);
      const isFolder = ['EISDIR', 'EPERM', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '');
      const entries =
        isFolder && isLeaf(place) ? await this.#files.list(join(this.#dir, ...place.slice(0, -1))) : [];
      if (!entries.some(({ name, folder }) => folder && name === place.at(-1))) throw error;
      const to = join(this.#dir, ASIDE.quarantine, `${flatName(place)}.${this.#clock.now()}`);
      await moveDurably(this.#files, join(this.#dir, ...place), to, this.#durability);
      this.#log.error({ key, quarantined: to }, 'a folder stood in the place of a stored chunk');
      return await act();
    }
  }

  /**
   * Moves a bad file; true when it is gone from its place. One that cannot be moved is not tried again: it was kept
   * from the reader already. It keeps its sidecar, or it would pass for good the next time.
   */
  async take(op: Extract<ChunkOp, { kind: 'quarantine' }>): Promise<boolean> {
    const to = join(this.#dir, ASIDE.quarantine, op.name);
    try {
      await moveDurably(this.#files, join(this.#dir, ...placeOfKey(op.key)), to, this.#durability);
      op.moved(to);
      return true;
    } catch (error) {
      op.moved(undefined, error);
      return false;
    }
  }
}
