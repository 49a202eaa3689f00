import { makeFolderDurably } from './atomic-write.js';
import { errnoOf, type FileLayer } from './file-layer.js';
import type { Log } from '../telemetry/log.js';

/** Writes into a folder, which somebody may have taken away: it is made again, with a warning, and work goes on. */
export async function inFolder<T>(
  folder: string,
  { files, log }: { files: FileLayer; log: Log },
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || (await files.exists(folder))) throw error;
  }
  await makeFolderDurably(files, folder);
  log.warn({ folder }, 'a folder was missing: made again, and empty');
  return write();
}
