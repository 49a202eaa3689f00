import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from './file-layer.js';

export interface PartSize {
  files: number;
  bytes: number;
}

/**
 * Files and bytes of a data folder by what it keeps: one part per folder in it, `files` for what stands in it itself,
 * and what was put aside as damaged counts as `quarantine` wherever it lies. Files that come and go meanwhile may be
 * counted or not; what cannot be looked at rejects. Links are not followed.
 */
export async function folderSize(dir: string, signal?: AbortSignal): Promise<Map<string, PartSize>> {
  const parts = new Map<string, PartSize>([['quarantine', { files: 0, bytes: 0 }]]);
  const add = (part: string, bytes: number): void => {
    const one = parts.get(part) ?? { files: 0, bytes: 0 };
    parts.set(part, { files: one.files + 1, bytes: one.bytes + bytes });
  };
  const walk = async (folder: string, part: string | undefined): Promise<void> => {
    for await (const entry of await opendir(folder)) {
      signal?.throwIfAborted();
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        const within = entry.name === 'quarantine' ? 'quarantine' : (part ?? known(entry.name));
        await walk(path, within).catch(unlessGone);
      } else if (entry.isFile()) {
        const { size } = await lstat(path).catch((error: unknown) => {
          unlessGone(error);
          return { size: undefined };
        });
        if (size !== undefined) add(ASIDE.test(entry.name) ? 'quarantine' : (part ?? 'files'), size);
      }
    }
  };
  await walk(dir, undefined);
  return parts;
}

/** Folders that a data folder is made of; any other is `other`, so that no foreign name becomes a label. */
const PARTS = new Set(['documents', 'backups', 'sessions', 'reports', 'pglite']);
/** A damaged file that was put aside where it stood. */
const ASIDE = /\.quarantine-\d+/;
const known = (name: string): string => (PARTS.has(name) ? name : 'other');

function unlessGone(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
