import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../storage/file-layer.js';
import { counted, finding, some, type Finding } from './finding.js';
import type { Patient } from './patient.js';

interface Entry {
  path: string;
  mode: number;
  uid: number;
  isFolder: boolean;
}

/** Folders 0700, files 0600, all of one owner: what lies there is secret, and must be writable for its process. */
export async function checkRights({ dir, signal }: Patient): Promise<{ files: number; found: Finding[] }> {
  const entries = await walk(dir, signal);
  const open = entries.filter(({ mode }) => (mode & 0o077) !== 0);
  const own = process.getuid?.();
  const foreign = own === undefined || own === 0 ? [] : entries.filter(({ uid }) => uid !== own);
  const shown = (list: Entry[]): string =>
    some(list.map(({ path, mode }) => `${path} (${mode.toString(8).padStart(4, '0')})`));
  return {
    files: entries.filter(({ isFolder }) => !isFolder).length,
    found: [
      ...(open.length === 0
        ? []
        : [
            finding(
              'folder-modes',
              `others may look into ${counted(open.length, 'place')}: ${shown(open)}`,
              `chmod -R go= ${dir}`,
            ),
          ]),
      ...(foreign.length === 0
        ? []
        : [
            finding(
              'folder-owner',
              `${counted(foreign.length, 'entry', 'entries')} belong to another user than ${own}: ${some(foreign.map(({ path }) => path))}`,
              'run the doctor as the user of the replica, or chown the folder to that user',
            ),
          ]),
    ],
  };
}

async function walk(dir: string, signal: AbortSignal): Promise<Entry[]> {
  const found: Entry[] = [];
  const waiting = [dir];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    signal.throwIfAborted();
    const entry = await look(path);
    if (entry === undefined) continue;
    found.push(entry);
    if (entry.isFolder) waiting.push(...(await names(path)).map((name) => join(path ?? dir, name)));
  }
  return found;
}

/** Undefined for what went meanwhile, and for the socket of the holder, whose rights are its folder's. */
async function look(path: string): Promise<Entry | undefined> {
  try {
    const stat = await lstat(path);
    if (stat.isSocket() || stat.isSymbolicLink()) return undefined;
    return { path, mode: stat.mode & 0o777, uid: stat.uid, isFolder: stat.isDirectory() };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function names(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    // One of another user: its own line says whose it is.
    if (['ENOENT', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}
