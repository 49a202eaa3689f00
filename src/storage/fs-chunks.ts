import { join } from 'node:path';
import type { StorageKey } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import { makeFolderDurably } from './atomic-write.js';
import type { Durability } from './atomic-write.js';
import { ASIDE, placeOfFlatName } from './chunk-key.js';
import { ChunkReader } from './chunk-reader.js';
import type { ChunkOp, ChunkStore, Look } from './chunk-store.js';
import { ChunkWriter } from './chunk-writer.js';
import type { FileLayer } from './file-layer.js';
import type { Failures } from './write-queue.js';

export interface FsChunksOptions {
  /** Made with mode 0700 when missing. One process per folder: hold `lockFolder` around it. */
  dir: string;
  files: FileLayer;
  durability: Durability;
  log: Log;
}

/** Chunks in a folder, on the layout of automerge-repo's NodeFS adapter. */
export class FsChunks implements ChunkStore {
  readonly place: string;
  readonly #options: FsChunksOptions;
  readonly #reader: ChunkReader;
  readonly #writer: ChunkWriter;

  constructor(options: FsChunksOptions) {
    this.place = options.dir;
    this.#options = options;
    this.#reader = new ChunkReader(options.dir, options.files);
    this.#writer = new ChunkWriter(options);
  }

  async open(): Promise<void> {
    const { dir, files, durability, log } = this.#options;
    for (const folder of [dir, join(dir, ASIDE.temporary), join(dir, ASIDE.checksums)]) {
      await makeFolderDurably(files, folder, durability);
    }
    const leftovers = await files.list(join(dir, ASIDE.temporary));
    for (const { name } of leftovers) await files.remove(join(dir, ASIDE.temporary, name));
    const orphans = await this.#sweepChecksums();
    if (leftovers.length + orphans > 0) {
      log.info({ temporary: leftovers.length, checksums: orphans }, 'remains of an earlier end removed');
    }
  }

  look(key: StorageKey): Promise<Look> {
    return this.#reader.look(key);
  }

  keys(prefix: StorageKey): Promise<StorageKey[]> {
    return this.#reader.keys(prefix);
  }

  commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures> {
    return this.#writer.commit(batch);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A kill between the removal of a file and that of its checksum leaves the latter. */
  async #sweepChecksums(): Promise<number> {
    const { dir, files } = this.#options;
    const folder = join(dir, ASIDE.checksums);
    let orphans = 0;
    for (const { name } of await files.list(folder)) {
      const place = placeOfFlatName(name);
      if (!place || (await files.exists(join(dir, ...place)))) continue;
      await files.remove(join(folder, name));
      orphans += 1;
    }
    return orphans;
  }
}
