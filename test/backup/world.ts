import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupFile } from '../../src/backup/backup-file.js';
import { restoreBackup, type Restored } from '../../src/backup/restore-backup.js';
import { chunksOf } from '../../src/backup/stored-document.js';
import type { StateNode } from '../../src/index.js';
import { isRecorded } from '../../src/node/backup/recorded.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { silentLog } from '../../src/telemetry/log.js';

/** Writes of rooms and of events of an actor in each: both families, and more than one document of each. */
export async function fill(node: StateNode, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 1) {
    await node.change(
      [
        { kind: 'room', key: `matrix_room:!r${n}:x`, fields: { display_name: `room ${n}` } },
        { kind: 'mark', key: `mark:!r${n}:x $e${n}`, fields: { settled_at: 1000 + n } },
      ],
      { id: `$e${n}`, ts: 1000 + n },
    );
  }
}

export const names = (node: StateNode): string[] =>
  [...node.entries('room')].map(([, { display_name }]) => String(display_name)).sort();

/** Heads by document id. */
export const headsOf = (node: StateNode): Record<string, string[]> =>
  Object.fromEntries(node.heads().map(({ id, heads }) => [id, heads]));

/** Heads by document id, as a backup says them. */
export const headsIn = (file: BackupFile): Record<string, string[]> =>
  Object.fromEntries(file.manifest.documents.map(({ id, heads }) => [id, heads]));

export async function filesIn(dir: string): Promise<string[]> {
  return (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Restores a backup into a folder that nobody has open. */
export async function restore(path: string, dataDir: string): Promise<Restored[]> {
  const backup = await BackupFile.open(path);
  const storage = new DurableStorage({ dir: join(dataDir, 'documents'), log: silentLog });
  try {
    return await restoreBackup({
      backup,
      stored: chunksOf(storage),
      save: (key, bytes) => storage.save(key, bytes),
      isRecorded,
    });
  } finally {
    await storage.close(AbortSignal.timeout(30_000));
    await backup.close();
  }
}
