import { randomUUID } from 'node:crypto';
import { chmod, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeFolderDurably, removeIfThere, writeAtomically, writeWhole } from '../storage/atomic-write.js';
import { errnoOf, nodeFiles } from '../storage/file-layer.js';

/** Files that people edit and other users' processes read, unlike those of a data folder. */
const FILE_MODE = 0o644;

/** Makes a file, whole or not at all. False, and nothing changed, when there is one of that name. */
export async function newFile(path: string, text: string): Promise<boolean> {
  await makeFolderDurably(nodeFiles, dirname(path));
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  await writeWhole(nodeFiles, temporary, Buffer.from(text), 'fsync');
  try {
    await chmod(temporary, FILE_MODE);
    await nodeFiles.link(temporary, path);
    await nodeFiles.syncFolder(dirname(path));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await removeIfThere(nodeFiles, temporary);
  }
}

/** Puts another text into a file that is there, old or new after a kill and never a part; its rights stay. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const { mode } = await stat(path);
  await writeAtomically(nodeFiles, path, Buffer.from(text));
  await chmod(path, mode & 0o777);
}
