import { join } from 'node:path';
import { parseActorKey } from '../../documents/actor-key.js';
import { readIfThere, removeIfThere, writeAtomically } from '../../storage/atomic-write.js';
import { errnoOf, type FileLayer, type FolderEntry } from '../../storage/file-layer.js';
import { decodeFileName, encodeFileName } from '../../storage/filename.js';
import type { ErasedPlaces } from './erased-places.js';

const NAME = /^(.+)\.log(?:\.\d+)?$/;

/** The place that a session belongs to: it is named as its task, whose actor is `run/<id>`. */
const placeOf = (session: string): string | undefined => parseActorKey(`run/${session}`)?.place;

/**
 * Deletes what this replica's session logs say of places that were forgotten: whole files, or the lines up to then of
 * one that was written to since. The folder itself says what is to be done, so that a replica that was off does it when
 * it starts, and one that was killed does it again.
 *
 * @param sessions ids that may have a log: a long id cannot be read back from the name of its file.
 * @returns how many files went or became shorter.
 */
export async function forgetSessionLogs(
  dataDir: string,
  files: FileLayer,
  places: ErasedPlaces,
  sessions: Iterable<string>,
): Promise<number> {
  if (places.none) return 0;
  const folder = join(dataDir, 'sessions');
  const hashed = new Map([...sessions].map((id) => [encodeFileName(id), id]));
  let changed = 0;
  let removed = 0;
  for (const { name, folder: isFolder } of await entriesOf(files, folder)) {
    const encoded = NAME.exec(name)?.[1];
    if (isFolder || encoded === undefined) continue;
    const session = hashed.get(encoded) ?? decodeFileName(encoded);
    const place = session === undefined ? undefined : placeOf(session);
    const at = place === undefined ? undefined : places.of(place)?.at;
    if (at === undefined) continue;
    const outcome = await forgetLines(files, join(folder, name), at);
    if (outcome === 'removed') removed += 1;
    if (outcome !== 'same') changed += 1;
  }
  if (removed > 0) await files.syncFolder(folder);
  return changed;
}

async function forgetLines(
  files: FileLayer,
  path: string,
  at: number,
): Promise<'removed' | 'shorter' | 'same'> {
  const bytes = await readIfThere(files, path);
  if (bytes === undefined) return 'same';
  const lines = Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
  const kept = lines.filter((line) => isAfter(line, at));
  if (kept.length === lines.length && lines.length > 0) return 'same';
  if (kept.length === 0) return (await removeIfThere(files, path)) ? 'removed' : 'same';
  await writeAtomically(files, path, Buffer.from(kept.map((line) => `${line}\n`).join('')));
  return 'shorter';
}

/** A line that a kill cut says no time: it goes. */
function isAfter(line: string, at: number): boolean {
  try {
    const { timestamp } = JSON.parse(line) as { timestamp?: unknown };
    return typeof timestamp === 'number' && timestamp > at;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

async function entriesOf(files: FileLayer, folder: string): Promise<FolderEntry[]> {
  try {
    return await files.list(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
