import * as A from '@automerge/automerge';
import { BackupFile } from '../../backup/backup-file.js';
import { BackupFolder } from '../../backup/backup-folder.js';
import { join } from 'node:path';
import { encodeChangeMessage } from '../../documents/change-message.js';
import { putRecord, readRecord, type Document } from '../../documents/document.js';
import { MigrationError } from '../../documents/migrations/errors.js';
import { rollbackOf, type Inexpressible, type Rollback } from '../../documents/migrations/rollback.js';
import { kinds } from '../../documents/schemas/kinds.js';
import { applyWrite } from '../../documents/write.js';
import { describeContents } from '../../backup/stored-document.js';
import { folderChunks } from '../backup/folder-chunks.js';
import { inFolder, type MigrationFolder } from './folder.js';
import { chunkOf, familyOf, saveChange, storedDocuments, type Save } from './stored.js';
import type { StoredChunks } from '../../backup/stored-document.js';

const ignore = (): void => {};

export interface RollBackOptions extends MigrationFolder {
  /** The schema to come back to. */
  to: number;
  /** Its path; by itself the newest good one that was made before a migration, with nothing above {@link to}. */
  backup: string | undefined;
  dryRun: boolean;
}

export interface RolledBackFolder {
  to: number;
  backup: { path: string; createdAt: string };
  documents: { name: string; from: number; records: number }[];
  /** Changes made since the migration that go along, and those that the schema before cannot say. */
  kept: number;
  inexpressible: Inexpressible[];
}

/**
 * Brings the documents of a folder in which nothing runs back to an earlier schema: as new changes, which every other
 * replica takes over by sync, because a merge takes nothing away. What was not changed since is what the backup has;
 * the same again changes nothing.
 *
 * First it is said in the cluster's document that the schema is held: whoever starts afterwards does not migrate again.
 *
 * @throws {MigrationError} `no-backup`; {BackupError}; `FolderLocked`.
 */
export async function rollBackFolder(options: RollBackOptions): Promise<RolledBackFolder> {
  const { dataDir, storageKeys, dryRun } = options;
  const path = options.backup ?? (await backupBefore(options));
  const backup = await BackupFile.open(path, storageKeys);
  try {
    await backup.check({ load: true });
    const made = (folder: { stored: StoredChunks; save: Save | undefined }) =>
      rollBack(folder, backup, options);
    const rolled = dryRun
      ? await made({ stored: folderChunks(join(dataDir, 'documents'), ignore, storageKeys), save: undefined })
      : await inFolder(options, made);
    return { to: options.to, backup: { path, createdAt: backup.manifest.created_at }, ...rolled };
  } finally {
    await backup.close();
  }
}

async function backupBefore({ dataDir, storageKeys, to }: RollBackOptions): Promise<string> {
  const folder = new BackupFolder(join(dataDir, 'backups'), undefined, storageKeys);
  for (const one of await folder.list()) {
    if (one.state !== 'good' || one.manifest.reason !== 'migration') continue;
    if (one.manifest.schemas.every((schema) => schema <= to)) return one.path;
  }
  throw new MigrationError(
    'no-backup',
    `${dataDir} has no good backup from before a migration with nothing above schema ${to}: name one with --backup, as the replica that migrated has it`,
  );
}

async function rollBack(
  { stored, save }: { stored: StoredChunks; save: Save | undefined },
  backup: BackupFile,
  { to, schemas, clock, onProgress }: RollBackOptions,
): Promise<Pick<RolledBackFolder, 'documents' | 'kept' | 'inexpressible'>> {
  const rolled: Pick<RolledBackFolder, 'documents' | 'kept' | 'inexpressible'> = {
    documents: [],
    kept: 0,
    inexpressible: [],
  };
  if (save !== undefined) await hold(stored, save, { to, known: schemas.known, now: clock.now() });
  const of = (await stored.ids()).length;
  let looked = 0;
  for await (const { id, document } of storedDocuments(stored)) {
    const kind = familyOf(document);
    const before = await documentIn(backup, id);
    const rollback: Rollback | undefined =
      kind && rollbackOf(document, kind, { to, schemas, backup: before }, ignore);
    if (kind !== undefined && rollback !== undefined) {
      const { migration, kept, inexpressible } = rollback;
      if (save !== undefined) await saveChange(id, document, { kind, migration, schemas, save, way: 'down' });
      const name = describeContents(document)?.index;
      rolled.documents.push({
        name: kind === 'cluster' ? kind : `${kind}/${name ?? 0}`,
        from: migration.from,
        records: migration.records.length,
      });
      rolled.kept += kept;
      rolled.inexpressible.push(...inexpressible);
    }
    if (before !== undefined) A.free(before);
    looked += 1;
    onProgress?.({ documents: looked, of, bytes: 0 });
  }
  return rolled;
}

/** Every schema above this one is turned on again by the operator's word alone. */
async function hold(
  stored: StoredChunks,
  save: Save,
  { to, known, now }: { to: number; known: number; now: number },
): Promise<void> {
  for await (const { id, document } of storedDocuments(stored)) {
    if (familyOf(document) !== 'cluster') continue;
    const cause = { id: `rollback:${now}`, ts: now };
    const message = encodeChangeMessage({ cause: cause.id, replica: '', epoch: 0 });
    const held = A.change(A.clone(document), { message, time: Math.floor(now / 1000) }, (draft) => {
      for (let schema = to + 1; schema <= known; schema += 1) {
        const key = `${kinds.migration.prefix}${schema}`;
        const current = readRecord(document, 'migration', key, ignore);
        if (current?.get('held')?.value === true) continue;
        const record = applyWrite({ kind: 'migration', key, fields: { held: true } }, current, cause, now);
        if (record !== undefined) putRecord(draft, 'migration', key, record);
      }
    });
    const change =
      A.getHeads(held).join() === A.getHeads(document).join() ? undefined : A.getLastLocalChange(held);
    if (change !== undefined) await save(chunkOf(id, change), change);
    A.free(held);
  }
}

async function documentIn(backup: BackupFile, id: string): Promise<Document | undefined> {
  const entry = backup.manifest.documents.find((one) => one.id === id);
  return entry && A.load<Record<string, unknown>>(await backup.read(entry), { allowMissingChanges: true });
}
