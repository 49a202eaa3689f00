import { createHash } from 'node:crypto';
import * as A from '@automerge/automerge';
import type { StorageKey } from '@automerge/automerge-repo';
import type { Document } from '../documents/document.js';
import type { BackupFile, OnProgress } from './backup-file.js';
import { BackupError } from './errors.js';
import type { BackedUp } from './manifest.js';
import { assembled, describeContents, type StoredChunks } from './stored-document.js';

export interface RestoreOptions {
  backup: BackupFile;
  /** What stands in the folder. */
  stored: StoredChunks;
  /** Resolves when it is on disk; undefined writes nothing (`--dry-run`). */
  save: ((key: StorageKey, bytes: Uint8Array) => Promise<void>) | undefined;
  /** Whether somebody knows of a generation of actors, given the cluster's document as it will stand (PROTOCOL A6). */
  isRecorded: (cluster: Document, generation: number, document: Document) => boolean;
  onProgress?: OnProgress;
}

/**
 * What a restore does to one document. `same`: all of it stands there already. `added`: nothing did. `merged`: so many
 * changes that were not there. `skipped`: a generation that no record knows.
 */
export interface Restored {
  id: string;
  name: string;
  outcome: 'same' | 'added' | 'merged' | 'skipped';
  /** Changes that the folder lacked. */
  changes: number;
}

/**
 * A merge: what the backup has and the folder lacks is put beside what stands there, and nothing is taken away, so
 * nothing newer is undone, and the same again changes nothing.
 *
 * The order makes every moment of it one at which a replica may start. Routing before actors, as every write that
 * spans both (DESIGN §3); generations before the record that says that they count, audit documents before both; the
 * cluster last: until it is there an empty folder is one that asks its peers (PROTOCOL C5).
 *
 * A generation that was superseded is restored as well: the replica takes over what its successor lacks, by event id,
 * and removes it again, as it does with what comes late from a peer (PROTOCOL A6).
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored[]> {
  const { backup, save, onProgress } = options;
  const { documents } = backup.manifest;
  const stored = new Set(await options.stored.ids());
  if (stored.size > 0 && !documents.some(({ id }) => stored.has(id))) {
    throw new BackupError(
      'wrong-cluster',
      'the folder holds documents, and none of them is in the backup: it is of another cluster',
    );
  }
  const cluster = await mergedCluster(options, stored);
  const restored: Restored[] = [];
  let bytes = 0;
  try {
    for (const document of [...documents].sort((a, b) => rankOf(a) - rankOf(b))) {
      const one = await restoreOne(document, options, stored.has(document.id), cluster);
      restored.push(one.said);
      if (one.write !== undefined && save !== undefined) await save(one.write.key, one.write.bytes);
      bytes += document.size;
      onProgress?.({ documents: restored.length, of: documents.length, bytes });
    }
  } finally {
    A.free(cluster);
  }
  return restored;
}

function rankOf({ kind }: BackedUp): number {
  if (kind === 'routing') return 0;
  if (kind === 'actors') return 2;
  return kind === 'cluster' ? 3 : 1;
}

/** The cluster's document as it will stand, of the folder and the backup together. */
async function mergedCluster({ backup, stored }: RestoreOptions, ids: Set<string>): Promise<Document> {
  const inBackup = backup.manifest.documents.find(({ kind }) => kind === 'cluster');
  if (inBackup === undefined) throw new BackupError('damaged', 'it has no cluster document');
  const there = ids.has(inBackup.id) ? await stored.chunks(inBackup.id) : [];
  return assembled([...there, await backup.read(inBackup)]);
}

async function restoreOne(
  entry: BackedUp,
  { backup, stored, isRecorded }: RestoreOptions,
  isStored: boolean,
  cluster: Document,
): Promise<{ said: Restored; write?: { key: StorageKey; bytes: Uint8Array } }> {
  const { id, name, heads } = entry;
  const bytes = await backup.read(entry);
  const inBackup = A.load<Record<string, unknown>>(bytes, { allowMissingChanges: true });
  let there = assembled(isStored ? await stored.chunks(id) : []);
  try {
    // What stands in the document counts, not what the manifest says of it.
    const contents = describeContents(inBackup);
    const isKnown = contents?.kind !== 'actors' || isRecorded(cluster, contents.generation, inBackup);
    if (!isKnown) return { said: { id, name, outcome: 'skipped', changes: 0 } };
    if (A.hasHeads(there, heads)) return { said: { id, name, outcome: 'same', changes: 0 } };
    const before = A.getHeads(there);
    there = A.loadIncremental(there, bytes);
    const changes = A.getChangesMetaSince(there, before).length;
    const outcome = before.length === 0 ? 'added' : 'merged';
    // Beside the chunks that are there, as one more snapshot: the replica makes one of them at its next save.
    const key = [id, 'snapshot', createHash('sha256').update(heads.join('')).digest('hex')];
    return { said: { id, name, outcome, changes }, write: { key, bytes } };
  } finally {
    A.free(inBackup);
    A.free(there);
  }
}
