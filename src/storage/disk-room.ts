import { access, constants, stat, statfs } from 'node:fs/promises';
import { errnoOf } from './file-layer.js';

/** What the file system under a folder has left. */
export interface DiskRoom {
  freeBytes: number;
  sizeBytes: number;
  /** Files that can still be made; undefined where the file system has no such bound. */
  freeInodes: number | undefined;
  inodes: number | undefined;
}

/** Of a folder: why nothing can be kept in it, and the room that there is, where that can be told. */
export interface FolderLook {
  fault: string | undefined;
  room: DiskRoom | undefined;
}

/** Looks without writing. Never rejects: what goes wrong is the answer. */
export async function lookAtFolder(dir: string): Promise<FolderLook> {
  try {
    if (!(await stat(dir)).isDirectory()) return { fault: 'is no folder', room: undefined };
    const room = await roomOf(dir);
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    return { fault: undefined, room };
  } catch (error) {
    const code = errnoOf(error) ?? String(error);
    if (code === 'ENOENT') return { fault: 'does not exist', room: undefined };
    // The fault above is the answer; how much room there is stands beside it, where that can be said.
    const room = await roomOf(dir).catch(() => undefined);
    return { fault: `cannot be written (${code})`, room };
  }
}

async function roomOf(dir: string): Promise<DiskRoom | undefined> {
  try {
    const { bavail, bsize, blocks, ffree, files } = await statfs(dir);
    const bound = files > 0;
    return {
      freeBytes: bavail * bsize,
      sizeBytes: blocks * bsize,
      freeInodes: bound ? ffree : undefined,
      inodes: bound ? files : undefined,
    };
  } catch (error) {
    // Not every file system says.
    if (errnoOf(error) === 'ENOSYS') return undefined;
    throw error;
  }
}
