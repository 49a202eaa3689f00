import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeIfThere } from '../storage/atomic-write.js';
import { errnoOf, nodeFiles, type FileLayer, type FolderEntry } from '../storage/file-layer.js';
import type { Keyring } from '../storage/sealed-chunks.js';
import type { Log } from '../telemetry/log.js';
import { BackupFile, faultOf } from './backup-file.js';
import type { Manifest } from './manifest.js';
import { temporaryOf } from './write-backup.js';

/** A file that has the name of a backup, and what a look at it found. */
export type FoundBackup = { path: string; name: string; size: number } & (
  { state: 'good'; manifest: Manifest } | { state: 'damaged'; reason: string }
);
export type GoodBackup = Extract<FoundBackup, { state: 'good' }>;

/** Sorts by time, and nothing else in the folder looks so. */
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z-[0-9a-f]{6}\.tar$/;

/** The backups of one data folder: `backups/` in it. */
export class BackupFolder {
  constructor(
    readonly dir: string,
    private readonly files: FileLayer = nodeFiles,
    private readonly keys: Keyring = {},
  ) {}

  /** Where a backup of that instant goes. */
  pathFor(createdAt: string): string {
    const name = `${createdAt.replace(/[:.]/g, '-')}-${randomBytes(3).toString('hex')}.tar`;
    return join(this.dir, name);
  }

  /**
   * All backups, newest first. Good ones are whole: with `contents` every document's checksum was looked at, without
   * only that nothing is missing. Only `understudy backup verify` and the making itself let Automerge read them too.
   */
  async list({ contents = true, signal }: { contents?: boolean; signal?: AbortSignal } = {}): Promise<
    FoundBackup[]
  > {
    const found: FoundBackup[] = [];
    for (const name of await this.#names()) {
      signal?.throwIfAborted();
      const one = await look(join(this.dir, name), name, contents);
      if (one !== undefined) found.push(one);
    }
    return found.sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));
  }

  /**
   * Removes good backups beyond the newest `keep`, and damaged ones older than all that are kept. `made`, which has
   * just been verified, stays whatever the clock says, so a good one always does. Gives the names.
   */
  async prune(keep: number, made: string): Promise<string[]> {
    const all = await this.list();
    const good = all.filter((one) => one.state === 'good');
    const kept = [
      ...good.filter(({ path }) => path === made),
      ...good.filter(({ path }) => path !== made),
    ].slice(0, keep);
    const oldest = kept.map(timeOf).sort()[0] ?? '';
    const surplus = all.filter(
      (one) =>
        !kept.some(({ path }) => path === one.path) &&
        (one.state === 'good' || (kept.length >= keep && timeOf(one) < oldest)),
    );
    for (const { path } of surplus) await removeIfThere(this.files, path);
    if (surplus.length > 0) await this.files.syncFolder(this.dir);
    return surplus.map(({ name }) => name);
  }

  /** What a kill left half written. Nobody may be writing a backup here. */
  async removeLeftovers(): Promise<void> {
    for (const { name } of await this.#entries()) {
      const isOurs = name === temporaryOf(name.slice(0, -4)) && NAME.test(name.slice(0, -4));
      if (isOurs) await removeIfThere(this.files, join(this.dir, name));
    }
  }

  /**
   * The bytes of a document out of every backup that has it, newest first. What is damaged is logged and passed over:
   * an older one may be good.
   */
  async *holding(id: string, log: Log): AsyncGenerator<{ name: string; bytes: Uint8Array }> {
    for (const { path, name } of await this.list({ contents: false })) {
      let file: BackupFile | undefined;
      let bytes: Uint8Array | undefined;
      try {
        file = await BackupFile.open(path, this.keys);
        const document = file.manifest.documents.find((one) => one.id === id);
        bytes = document && (await file.read(document));
      } catch (error) {
        log.error(
          { err: error, backup: name, document: id },
          'a backup cannot be used: an older one is asked',
        );
      } finally {
        await file?.close();
      }
      if (bytes !== undefined) yield { name, bytes };
    }
  }

  async #names(): Promise<string[]> {
    return (await this.#entries()).map(({ name }) => name).filter((name) => NAME.test(name));
  }

  async #entries(): Promise<FolderEntry[]> {
    try {
      return await this.files.list(this.dir);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

/** When it was made, as its manifest says it; else as its name does. */
function timeOf(one: FoundBackup): string {
  return one.state === 'good' ? one.manifest.created_at.replace(/[:.]/g, '-') : one.name.slice(0, 24);
}

/** Undefined for one that has gone meanwhile. */
async function look(path: string, name: string, contents: boolean): Promise<FoundBackup | undefined> {
  let size = 0;
  try {
    ({ size } = await stat(path));
    const file = await BackupFile.open(path);
    try {
      if (contents) await file.check({ load: false });
      return { path, name, size, state: 'good', manifest: file.manifest };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    const reason = faultOf(error);
    if (reason === undefined) throw error;
    return { path, name, size, state: 'damaged', reason };
  }
}
