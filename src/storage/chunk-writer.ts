import { dirname, join } from 'node:path';
import type { StorageKey } from '@automerge/automerge-repo';
import { makeFolderDurably, readIfThere, removeIfThere, writeWhole } from './atomic-write.js';
import type { Durability } from './atomic-write.js';
import { decodeSidecar, encodeSidecar, nameIsSum, sha256 } from './checksum.js';
import { ASIDE, flatName, placeOfKey } from './chunk-key.js';
import { ChunkQuarantine } from './chunk-quarantine.js';
import type { ChunkOp } from './chunk-store.js';
import { errnoOf } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import type { FsChunksOptions } from './fs-options.js';
import { Limit } from './limit.js';
import { sealedWith } from './seal.js';
import type { Failures } from './write-queue.js';

interface Staged {
  id: string;
  key: StorageKey;
  temporary: string;
  sidecar: string | undefined;
}

/**
 * Carries batches of operations out, sharing the flush of each folder.
 *
 * Order within a batch: all contents written and synced under temporary names; sidecars renamed and their
 * folder synced; contents renamed and their folders synced; only then removals. So a kill anywhere leaves the
 * old file or the new one, with a sidecar that knows it, and never removes what was to be replaced first.
 *
 * Temporary files lie in one folder of their own on the same file system, not beside the documents: stock
 * tools read every file in a document's folder, and would take a torn one for a chunk.
 */
export class ChunkWriter {
  readonly #dir: string;
  readonly #files: FileLayer;
  readonly #durability: Durability;
  readonly #open = new Limit(16);
  readonly #quarantine: ChunkQuarantine;
  #serial = 0;

  constructor(options: FsChunksOptions) {
    this.#dir = options.dir;
    this.#files = options.files;
    this.#durability = options.durability;
    this.#quarantine = new ChunkQuarantine(options);
  }

  async commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures> {
    const failures: Failures = new Map();
    const staged = await this.#stage(batch, failures);
    await this.#nameSidecars(staged, failures);
    await this.#nameContents(staged, failures);
    await this.#discard(staged, failures);
    await this.#takeAway(batch, failures);
    return failures;
  }

  async #stage(batch: ReadonlyMap<string, ChunkOp>, failures: Failures): Promise<Staged[]> {
    const staged: Staged[] = [];
    await this.#each(batch, failures, async (id, op) => {
      if (op.kind !== 'save') return;
      const temporary = this.#temporary();
      const sidecar = vouchesForItself(op.key, op.bytes) ? undefined : this.#temporary();
      staged.push({ id, key: op.key, temporary, sidecar });
      if (sidecar !== undefined) {
        const sums = await this.#rightfulSums(op.key, op.bytes);
        const bytes = encodeSidecar({ sha256: sums, key: op.key });
        await writeWhole(this.#files, sidecar, bytes, this.#durability);
      }
      await writeWhole(this.#files, temporary, op.bytes, this.#durability);
    });
    return staged;
  }

  /** The new content's sum, and that of the content it replaces unless that one is known to be bad. */
  async #rightfulSums(key: StorageKey, bytes: Uint8Array): Promise<string[]> {
    const sum = sha256(bytes);
    const present = await this.#quarantine.clearing(key, () => readIfThere(this.#files, this.#path(key)));
    if (present === undefined) return [sum];
    const old = sha256(present);
    const sidecar = await readIfThere(this.#files, this.#sidecarPath(key));
    const known = sidecar && decodeSidecar(sidecar);
    return old === sum || (known && !known.sha256.includes(old)) ? [sum] : [sum, old];
  }

  async #nameSidecars(staged: Staged[], failures: Failures): Promise<void> {
    const named: string[] = [];
    for (const { id, key, sidecar } of staged) {
      if (sidecar === undefined || failures.has(id)) continue;
      await this.#attempt([id], failures, async () => {
        await this.#files.rename(sidecar, this.#sidecarPath(key));
        named.push(id);
      });
    }
    if (named.length > 0) await this.#sync(join(this.#dir, ASIDE.checksums), named, failures);
  }

  async #nameContents(staged: Staged[], failures: Failures): Promise<void> {
    const folders = new Map<string, string[]>();
    for (const { id, key, temporary } of staged) {
      if (failures.has(id)) continue;
      const path = this.#path(key);
      await this.#attempt([id], failures, async () => {
        await this.#quarantine.clearing(key, () => this.#renameInto(temporary, path));
        folders.set(dirname(path), [...(folders.get(dirname(path)) ?? []), id]);
      });
    }
    await this.#syncAll(folders, failures);
  }

  async #renameInto(temporary: string, path: string): Promise<void> {
    try {
      await this.#files.rename(temporary, path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      await makeFolderDurably(this.#files, dirname(path), this.#durability);
      await this.#files.rename(temporary, path);
    }
  }

  /** What was staged for an operation that failed later must not stay until the next start. */
  async #discard(staged: Staged[], failures: Failures): Promise<void> {
    for (const { id, temporary, sidecar } of staged) {
      if (!failures.has(id)) continue;
      await this.#attempt([id], failures, async () => {
        await removeIfThere(this.#files, temporary);
        if (sidecar !== undefined) await removeIfThere(this.#files, sidecar);
      });
    }
  }

  async #takeAway(batch: ReadonlyMap<string, ChunkOp>, failures: Failures): Promise<void> {
    const folders = new Map<string, string[]>();
    const gone: { id: string; key: StorageKey }[] = [];
    await this.#each(batch, failures, async (id, op) => {
      if (op.kind === 'save') return;
      const path = this.#path(op.key);
      if (op.kind === 'remove')
        await this.#quarantine.clearing(op.key, () => removeIfThere(this.#files, path));
      else if (!(await this.#quarantine.take(op))) return;
      gone.push({ id, key: op.key });
      folders.set(dirname(path), [...(folders.get(dirname(path)) ?? []), id]);
    });
    await this.#syncAll(folders, failures);
    for (const { id, key } of gone) {
      if (failures.has(id)) continue;
      await this.#attempt([id], failures, () => removeIfThere(this.#files, this.#sidecarPath(key)));
    }
  }

  async #syncAll(folders: Map<string, string[]>, failures: Failures): Promise<void> {
    await Promise.all(
      [...folders].map(([folder, ids]) => this.#open.run(() => this.#sync(folder, ids, failures))),
    );
  }

  async #sync(folder: string, ids: string[], failures: Failures): Promise<void> {
    if (this.#durability === 'os') return;
    await this.#attempt(ids, failures, async () => {
      try {
        await this.#files.syncFolder(folder);
      } catch (error) {
        // Nothing was there to remove, and no folder either.
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
    });
  }

  async #each(
    batch: ReadonlyMap<string, ChunkOp>,
    failures: Failures,
    act: (id: string, op: ChunkOp) => Promise<void>,
  ): Promise<void> {
    await Promise.all(
      [...batch].map(([id, op]) => this.#open.run(() => this.#attempt([id], failures, () => act(id, op)))),
    );
  }

  /** The first error of an operation is the one reported; later ones follow from it. */
  async #attempt(ids: string[], failures: Failures, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      for (const id of ids) if (!failures.has(id)) failures.set(id, error);
    }
  }

  #temporary(): string {
    this.#serial += 1;
    return join(this.#dir, ASIDE.temporary, String(this.#serial));
  }

  #path(key: StorageKey): string {
    return join(this.#dir, ...placeOfKey(key));
  }

  #sidecarPath(key: StorageKey): string {
    return join(this.#dir, ASIDE.checksums, flatName(placeOfKey(key)));
  }
}

/** Named by its sum, or under such a name and encrypted: then the cipher's tag is the checksum. */
function vouchesForItself(key: StorageKey, bytes: Uint8Array): boolean {
  return nameIsSum(key) && (key[2] === sha256(bytes) || sealedWith(bytes) !== undefined);
}
