import { join } from 'node:path';
import { BackupFile, type OnProgress } from '../../backup/backup-file.js';
import { BackupError } from '../../backup/errors.js';
import { fingerprintOfCluster, type Manifest } from '../../backup/manifest.js';
import { restoreBackup, type Restored } from '../../backup/restore-backup.js';
import { chunksOf } from '../../backup/stored-document.js';
import { DurableStorage } from '../../storage/durable.js';
import { lockFolder } from '../../storage/lock.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { Log } from '../../telemetry/log.js';
import { folderChunks } from './folder-chunks.js';
import { isRecorded } from './recorded.js';
import { unlessAborted } from '../../time/unless-aborted.js';

/** How long the end waits for removals of damaged chunks, milliseconds. */
const CLOSE_MS = 5_000;

export interface RestoreFolderOptions {
  path: string;
  dataDir: string;
  storageKeys?: Keyring;
  /** Says what would be done, and touches nothing. */
  dryRun: boolean;
  /** Where it is known: a backup of another cluster is refused also for an empty folder. */
  clusterId: string | undefined;
  log: Log;
  onProgress?: (what: 'verified' | 'restored') => OnProgress;
}

export interface RestoredFolder {
  manifest: Manifest;
  documents: Restored[];
  /** Chunks of the folder that could not be used. */
  faults: string[];
}

/**
 * Restores a backup into a data folder in which nothing runs: as a merge into what stands there, or into an empty one.
 * Only documents: who the replica is, its sync position and its journal stay, or are made anew by the replica that
 * starts there, because two replicas with one identity would take each other's work for their own.
 *
 * The whole backup is checked first, so that a damaged one changes nothing.
 *
 * @throws {BackupError} `damaged`, `newer`, `wrong-cluster`, `unsaved`; `FolderLocked`.
 */
export async function restoreFolder(options: RestoreFolderOptions): Promise<RestoredFolder> {
  const { path, storageKeys, clusterId, onProgress } = options;
  const backup = await BackupFile.open(path, storageKeys);
  try {
    if (clusterId !== undefined && backup.manifest.cluster !== fingerprintOfCluster(clusterId)) {
      throw new BackupError('wrong-cluster', 'the backup is of another cluster than UNDERSTUDY_CLUSTER_ID');
    }
    const onVerified = onProgress?.('verified');
    await backup.check({ load: true, ...(onVerified && { onProgress: onVerified }) });
    return options.dryRun ? await planOf(backup, options) : await restoreInto(backup, options);
  } finally {
    await backup.close();
  }
}

async function planOf(
  backup: BackupFile,
  { dataDir, storageKeys, onProgress }: RestoreFolderOptions,
): Promise<RestoredFolder> {
  const faults = new Set<string>();
  const documents = await restoreBackup({
    backup,
    stored: folderChunks(join(dataDir, 'documents'), (fault) => faults.add(fault), storageKeys),
    save: undefined,
    isRecorded,
    ...(onProgress && { onProgress: onProgress('restored') }),
  });
  return { manifest: backup.manifest, documents, faults: [...faults] };
}

async function restoreInto(
  backup: BackupFile,
  { dataDir, storageKeys: keys = {}, log, onProgress }: RestoreFolderOptions,
): Promise<RestoredFolder> {
  const lock = await lockFolder(dataDir);
  const faults: string[] = [];
  const refused = new AbortController();
  const storage = new DurableStorage({
    dir: join(dataDir, 'documents'),
    keys,
    log,
    onEvent: (event) => {
      if (event.type === 'state:recovered') faults.push(`${event.key.join('/')}: ${event.reason}`);
      if (event.type === 'state:save-error') {
        const message = `${dataDir} cannot be written (${event.code}): make room or mend the disk, and restore again; it goes on where it was`;
        refused.abort(new BackupError('unsaved', message));
      }
    },
  });
  try {
    await storage.open();
    const documents = await restoreBackup({
      backup,
      stored: chunksOf(storage),
      // The storage tries again for ever, which is right for a replica and not for a person who waits.
      save: (key, bytes) => unlessAborted(storage.save(key, bytes), refused.signal),
      isRecorded,
      ...(onProgress && { onProgress: onProgress('restored') }),
    });
    return { manifest: backup.manifest, documents, faults };
  } finally {
    await storage.close(refused.signal.aborted ? refused.signal : AbortSignal.timeout(CLOSE_MS));
    await lock.release();
  }
}
