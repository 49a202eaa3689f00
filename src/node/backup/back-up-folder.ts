import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { z } from 'zod';
import { BackupFolder, type GoodBackup } from '../../backup/backup-folder.js';
import type { OnProgress } from '../../backup/backup-file.js';
import { BackupError } from '../../backup/errors.js';
import { fingerprintOf, type BackupReason } from '../../backup/manifest.js';
import { assembled, describeContents, toBackUp, type StoredChunks } from '../../backup/stored-document.js';
import { writeBackup, type DocumentToBackUp } from '../../backup/write-backup.js';
import { nodeFiles } from '../../storage/file-layer.js';
import { readJson } from '../../storage/json-file.js';
import { lockFolder } from '../../storage/lock.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { Clock } from '../../time/clock.js';
import { folderChunks } from './folder-chunks.js';

/**
 * Makes a backup of a data folder in which nothing runs: it is locked meanwhile. The secret cluster id is not needed.
 *
 * @throws {BackupError} `nothing`, `damaged` (of the folder: its replica heals it when it starts); `FolderLocked`.
 */
export async function backUpFolder(options: {
  dataDir: string;
  storageKeys?: Keyring;
  keep: number;
  reason: BackupReason;
  clock: Clock;
  onProgress?: OnProgress;
}): Promise<GoodBackup> {
  const { dataDir, storageKeys: keys = {}, keep, reason, clock, onProgress } = options;
  const lock = await lockFolder(dataDir);
  try {
    const stored = folderChunks(
      join(dataDir, 'documents'),
      (fault) => {
        throw new BackupError(
          'damaged',
          `${dataDir} is damaged (${fault}): start its replica, which heals it from older backups and from peers`,
        );
      },
      options.storageKeys,
    );
    const ids = await stored.ids();
    const cluster = fingerprintOf(await clusterDocumentOf(stored, ids));
    const file = await readJson(join(dataDir, 'replica.json'), z.object({ replica: z.string() }));
    const folder = new BackupFolder(join(dataDir, 'backups'));
    await folder.removeLeftovers();
    const created_at = new Date(clock.now()).toISOString();
    const path = folder.pathFor(created_at);
    const manifest = await writeBackup({
      files: nodeFiles,
      path,
      head: { cluster, replica: file?.replica ?? null, created_at, reason },
      documents: documentsOf(stored, ids),
      keys,
      count: ids.length,
      ...(onProgress && { onProgress }),
    });
    await folder.prune(keep, path);
    const made = (await folder.list({ contents: false })).find((one) => one.path === path);
    return { path, name: made?.name ?? '', size: made?.size ?? 0, state: 'good', manifest };
  } finally {
    await lock.release();
  }
}

/** The id of the one document that says it is the cluster's. */
async function clusterDocumentOf(stored: StoredChunks, ids: readonly string[]): Promise<string> {
  const found: string[] = [];
  for (const id of ids) {
    const document = assembled(await stored.chunks(id));
    if (describeContents(document)?.kind === 'cluster') found.push(id);
    A.free(document);
  }
  const [id] = found;
  if (id !== undefined && found.length === 1) return id;
  throw new BackupError(
    'nothing',
    `there ${found.length === 0 ? 'is no cluster document' : 'are several cluster documents'} in the folder: start its replica, and make the backup while it runs`,
  );
}

async function* documentsOf(stored: StoredChunks, ids: readonly string[]): AsyncGenerator<DocumentToBackUp> {
  for (const id of ids) {
    const document = assembled(await stored.chunks(id));
    try {
      const one = toBackUp(id, document);
      if (one !== undefined) yield one;
    } finally {
      A.free(document);
    }
  }
}
