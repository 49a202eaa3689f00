import { dirname } from 'node:path';
import { errnoOf } from './file-layer.js';
import type { FileLayer } from './file-layer.js';

/**
 * `fsync`: what was acknowledged outlives a loss of power. `os`: it outlives the process only; the system
 * writes when it likes.
 */
export type Durability = 'fsync' | 'os';

/**
 * A new file with these bytes, complete and synced, under a name that nobody reads yet. What was begun is
 * removed again when it fails.
 */
export async function writeWhole(
  files: FileLayer,
  path: string,
  bytes: Uint8Array,
  durability: Durability,
): Promise<void> {
  const file = await files.create(path);
  try {
    try {
      await file.write(bytes);
      if (durability === 'fsync') await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    try {
      await removeIfThere(files, path);
    } catch (leftover) {
      const message = `${path} was not written, and its remains not removed`;
      throw new AggregateError([error, leftover], message, { cause: leftover });
    }
    throw error;
  }
}

/**
 * Replaces a file, or makes it: a reader sees the old bytes or the new ones, never a part, after a kill too.
 * Steps: temporary file, fsync, rename, fsync of the folder.
 *
 * @param temporary a name in the same folder that only this writer uses; a leftover there is replaced.
 */
export async function writeAtomically(
  files: FileLayer,
  path: string,
  bytes: Uint8Array,
  durability: Durability = 'fsync',
  temporary = `${path}.tmp`,
): Promise<void> {
  await removeIfThere(files, temporary);
  await writeWhole(files, temporary, bytes, durability);
  await files.rename(temporary, path);
  if (durability === 'fsync') await files.syncFolder(dirname(path));
}

/** Removes a file; true when it was there. */
export async function removeIfThere(files: FileLayer, path: string): Promise<boolean> {
  try {
    await files.remove(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The file's bytes, or undefined when there is no such file. */
export async function readIfThere(files: FileLayer, path: string): Promise<Uint8Array | undefined> {
  try {
    return await files.read(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Makes a folder whose existence outlives a loss of power: each folder made is synced in the one above it.
 */
export async function makeFolderDurably(
  files: FileLayer,
  path: string,
  durability: Durability = 'fsync',
): Promise<void> {
  const topmost = await files.makeFolder(path);
  if (topmost === undefined || durability === 'os') return;
  for (let made = path; made.length >= topmost.length; made = dirname(made)) {
    await files.syncFolder(dirname(made));
  }
}

/**
 * Moves a file, or a folder, to a name in another folder, which is made when it is missing. A file is never without a
 * name: a disk may take the old one away before it has written the new one. The old folder is not synced.
 */
export async function moveDurably(
  files: FileLayer,
  path: string,
  to: string,
  durability: Durability = 'fsync',
): Promise<void> {
  await makeFolderDurably(files, dirname(to), durability);
  try {
    await files.link(path, to);
  } catch (error) {
    // Folders have no second names, and some file systems have none at all.
    if (!['EPERM', 'EISDIR', 'ENOTSUP', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error;
    await files.rename(path, to);
    if (durability === 'fsync') await files.syncFolder(dirname(to));
    return;
  }
  if (durability === 'fsync') await files.syncFolder(dirname(to));
  await files.remove(path);
}
