import { dirname } from 'node:path';
import type { Clock } from '../time/clock.js';
import { errnoOf } from './file-layer.js';
import type { FileLayer } from './file-layer.js';

/** Whether a folder stands in the place of a file. What a disk refuses to read may be there again later (EIO, EACCES). */
export const isFolderInPlace = (error: unknown): boolean => errnoOf(error) === 'EISDIR';

/**
 * Moves what stands at a path, file or folder, out of the way and keeps it for who wants to look: beside it, as
 * `<name>.quarantine-<ms>`, on disk when it resolves. Returns where it is now.
 */
export async function putAside(files: FileLayer, path: string, clock: Pick<Clock, 'now'>): Promise<string> {
  const base = `${path}.quarantine-${clock.now()}`;
  let aside = base;
  // A name that is taken holds what was put aside in the same millisecond: it is not to be replaced.
  for (let n = 2; await files.exists(aside); n += 1) aside = `${base}-${n}`;
  await files.rename(path, aside);
  await files.syncFolder(dirname(path));
  return aside;
}
