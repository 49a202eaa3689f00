import { join } from 'node:path';
import type { StorageKey } from '@automerge/automerge-repo';
import { makeFolderDurably, moveDurably } from './atomic-write.js';
import { ASIDE, placeOfFlatName } from './chunk-key.js';
import { ChunkReader } from './chunk-reader.js';
import type { ChunkOp, ChunkStore, Look } from './chunk-store.js';
import { ChunkWriter } from './chunk-writer.js';
import type { FsChunksOptions } from './fs-options.js';
import type { FolderEntry } from './file-layer.js';
import type { Failures } from './write-queue.js';

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
    const temporary = await files.list(join(dir, ASIDE.temporary));
    for (const { name } of temporary.filter(({ folder }) => !folder)) {
      await files.remove(join(dir, ASIDE.temporary, name));
    }
    await this.#moveFoldersAway(ASIDE.temporary, temporary);
    const checksums = await this.#sweepChecksums();
    if (temporary.length + checksums > 0) {
      log.info({ temporary: temporary.length, checksums }, 'remains of an earlier end removed');
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
    const entries = await files.list(folder);
    await this.#moveFoldersAway(ASIDE.checksums, entries);
    let orphans = 0;
    for (const { name } of entries.filter((entry) => !entry.folder)) {
      const place = placeOfFlatName(name);
      if (!place || (await files.exists(join(dir, ...place)))) continue;
      await files.remove(join(folder, name));
      orphans += 1;
    }
    return orphans;
  }

  /** A folder where only files are would stand in the way of every write of that name. */
  async #moveFoldersAway(within: string, entries: readonly FolderEntry[]): Promise<void> {
    const { dir, files, durability, log, clock } = this.#options;
    for (const { name } of entries.filter(({ folder }) => folder)) {
      const to = join(dir, ASIDE.quarantine, `${within}~${name}.${clock.now()}`);
      await moveDurably(files, join(dir, within, name), to, durability);
      log.error({ path: join(dir, within, name), quarantined: to }, 'a folder stood in the place of a file');
    }
  }
}
