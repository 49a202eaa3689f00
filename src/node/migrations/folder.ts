import { join } from 'node:path';
import * as A from '@automerge/automerge';
import type { OnProgress } from '../../backup/backup-file.js';
import { BackupError } from '../../backup/errors.js';
import { chunksOf, type StoredChunks } from '../../backup/stored-document.js';
import type { Document } from '../../documents/document.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import { DurableStorage } from '../../storage/durable.js';
import { lockFolder } from '../../storage/lock.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { backUpFolder } from '../backup/back-up-folder.js';
import { folderChunks } from '../backup/folder-chunks.js';
import { Records } from '../records.js';
import { heldIn, membersOf } from './members.js';
import {
  familyOf,
  migrateStored,
  storedDocuments,
  storedSchemas,
  type Save,
  type StoredSchema,
} from './stored.js';

/** How long the end waits for what is being removed, milliseconds. */
const CLOSE_MS = 5_000;

export interface MigrationFolder {
  dataDir: string;
  storageKeys?: Keyring;
  schemas: Schemas;
  clock: Clock;
  log: Log;
  onProgress?: OnProgress;
}

/** How the documents of a folder stand. */
export interface FolderSchemas {
  known: number;
  documents: StoredSchema[];
  members: { replica: string; schema: number }[];
  held: number[];
  /** Chunks that could not be used. */
  faults: string[];
}

/** Reads a folder without changing anything in it. */
export async function lookAtFolder({
  dataDir,
  storageKeys,
  schemas,
  clock,
}: Omit<MigrationFolder, 'log'>): Promise<FolderSchemas> {
  const faults = new Set<string>();
  const stored = folderChunks(join(dataDir, 'documents'), (fault) => faults.add(fault), storageKeys);
  const documents: StoredSchema[] = [];
  for await (const one of storedSchemas(stored, schemas)) documents.push(one);
  const cluster = await clusterSays(stored, schemas, clock.now());
  return { known: schemas.known, documents, ...cluster, faults: [...faults] };
}

/** Migrates a folder in which nothing runs, after a backup of it. What it did by then stands when it is ended. */
export async function migrateFolder(
  options: MigrationFolder & { keep: number },
): Promise<{ backup: string | undefined; documents: StoredSchema[] }> {
  const { dataDir, storageKeys, schemas, clock, keep, onProgress } = options;
  const { documents } = await lookAtFolder(options);
  if (documents.every(({ schema, to, records }) => schema === to && records === 0)) {
    return { backup: undefined, documents: [] };
  }
  const backup = await backUpFolder({
    dataDir,
    ...(storageKeys && { storageKeys }),
    keep,
    reason: 'migration',
    clock,
  });
  const migrated = await inFolder(options, ({ stored, save }) =>
    migrateStored({ stored, schemas, save, ...(onProgress && { onProgress }) }),
  );
  return { backup: backup.path, documents: migrated };
}

/** Opens a folder to write into it; it is locked meanwhile. */
export async function inFolder<T>(
  { dataDir, storageKeys: keys = {}, log }: Pick<MigrationFolder, 'dataDir' | 'storageKeys' | 'log'>,
  act: (folder: { stored: StoredChunks; save: Save }) => Promise<T>,
): Promise<T> {
  const lock = await lockFolder(dataDir);
  const refused = new AbortController();
  const storage = new DurableStorage({
    dir: join(dataDir, 'documents'),
    keys,
    log,
    onEvent: (event) => {
      if (event.type !== 'state:save-error') return;
      const message = `${dataDir} cannot be written (${event.code}): make room or mend the disk, and try again; it goes on where it was`;
      refused.abort(new BackupError('unsaved', message));
    },
  });
  try {
    await storage.open();
    // The storage tries again for ever, which is right for a replica and not for a person who waits.
    const save: Save = (key, bytes) =>
      new Promise((resolve, reject) => {
        const refuse = (): void => reject(refused.signal.reason as Error);
        if (refused.signal.aborted) refuse();
        else refused.signal.addEventListener('abort', refuse, { once: true });
        storage.save(key, bytes).then(resolve, reject);
      });
    return await act({ stored: chunksOf(storage), save });
  } finally {
    await storage.close(refused.signal.aborted ? refused.signal : AbortSignal.timeout(CLOSE_MS));
    await lock.release();
  }
}

async function clusterSays(
  stored: StoredChunks,
  schemas: Schemas,
  now: number,
): Promise<Pick<FolderSchemas, 'members' | 'held'>> {
  for await (const { document } of storedDocuments(stored)) {
    if (familyOf(document) === 'cluster') {
      const records = recordsOf(document, schemas);
      return { members: membersOf(records, now), held: heldIn(records) };
    }
  }
  return { members: [], held: [] };
}

/** The records of a cluster's document. */
export function recordsOf(cluster: Document, schemas: Schemas): Records {
  const view = A.view(cluster, A.getHeads(cluster));
  return new Records({ document: (kind) => (kind === 'cluster' ? view : undefined) }, () => {}, schemas);
}
