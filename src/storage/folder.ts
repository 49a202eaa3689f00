import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { makeFolderDurably, removeIfThere } from './atomic-write.js';
import { errnoOf, nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';

const PROBE = '.writable-';

/**
 * - `unwritable`: nothing can be written there.
 * - `not-a-folder`: a file stands in its place.
 * - `bad-lock`: its lock cannot be read, so nobody knows whether a process works there.
 */
export class FolderError extends Error {
  constructor(
    readonly code: 'unwritable' | 'not-a-folder' | 'bad-lock',
    readonly folder: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'FolderError';
  }
}

/**
 * Makes a data folder with mode 0700, or takes the rights of others from the one that is there, and writes
 * and removes a file in it: rights on paper say nothing about a read-only or full disk.
 *
 * @throws FolderError
 */
export async function ensureFolder(dir: string, files: FileLayer = nodeFiles): Promise<void> {
  try {
    await makeFolderDurably(files, dir);
    await makePrivateIfOurs(files, dir);
    await removeProbes(dir, files);
    const probe = join(dir, `${PROBE}${randomUUID()}`);
    const file = await files.create(probe);
    try {
      await file.write(Buffer.from('\n'));
    } finally {
      await file.close();
      await removeIfThere(files, probe);
    }
  } catch (error) {
    throw folderError(dir, error);
  }
}

/** What kills left. One that another process is writing just now has told it already what it wanted to know. */
async function removeProbes(dir: string, files: FileLayer): Promise<void> {
  for (const { name, folder } of await files.list(dir)) {
    if (!folder && name.startsWith(PROBE)) await removeIfThere(files, join(dir, name));
  }
}

/** A mounted volume may belong to another user and yet be writable; its rights are then that user's affair. */
async function makePrivateIfOurs(files: FileLayer, dir: string): Promise<void> {
  try {
    await files.makePrivate(dir, 'folder');
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
  }
}

function folderError(dir: string, cause: unknown): FolderError {
  const code = errnoOf(cause);
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    const message = `${dir} cannot be a data folder: there is a file in its place; name another folder`;
    return new FolderError('not-a-folder', dir, message, { cause });
  }
  const reason = REASONS[code ?? ''] ?? String(cause);
  const message = `data folder ${dir} cannot be written: ${reason}; give the user of this process write access to it, or name another folder`;
  return new FolderError('unwritable', dir, message, { cause });
}

const REASONS: Record<string, string> = {
  EACCES: 'permission denied (EACCES)',
  EPERM: 'not permitted (EPERM)',
  EROFS: 'the file system is read-only (EROFS)',
  ENOSPC: 'the disk is full (ENOSPC)',
  EDQUOT: 'the disk quota is used up (EDQUOT)',
};
