import { dirname } from 'node:path';
import { makeFolderDurably, removeIfThere } from '../storage/atomic-write.js';
import { sha256 } from '../storage/checksum.js';
import type { FileLayer, OpenFile } from '../storage/file-layer.js';
import { seal } from '../storage/seal.js';
import type { Keyring } from '../storage/sealed-chunks.js';
import { BackupFile, type OnProgress } from './backup-file.js';
import { BackupError } from './errors.js';
import {
  encodeManifest,
  fileOf,
  FORMAT,
  MANIFEST,
  sealedAs,
  SUMS,
  sumsOf,
  type BackedUp,
  type Manifest,
} from './manifest.js';
import type { OpenReadable } from './readable-file.js';
import { END, paddingOf, tarHeader } from './tar.js';

/** A document to be written: all that a manifest says of it, and its bytes as one Automerge save. */
export type DocumentToBackUp = Omit<BackedUp, 'size' | 'sha256'> & { bytes: Uint8Array };

export type BackupHead = Pick<Manifest, 'cluster' | 'replica' | 'created_at' | 'reason'>;

export interface WriteBackupOptions {
  files: FileLayer;
  path: string;
  head: BackupHead;
  /** Asked for one after the other, so that one document is in memory at a time. */
  documents: AsyncIterable<DocumentToBackUp>;
  /** With a current key the documents are encrypted, as they are on disk. */
  keys?: Keyring;
  /** How many there will be, for progress. */
  count: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
  /** By which it is read back. */
  open?: OpenReadable;
}

/** The name under which a backup is written until it is known to be good. */
export const temporaryOf = (path: string): string => `${path}.tmp`;

/**
 * Writes a backup: under a temporary name, synced, read back from disk and checked document by document, and only then
 * given its name. So whatever has the name of a backup was once seen to be good. What was begun is removed when it
 * fails.
 */
export async function writeBackup(options: WriteBackupOptions): Promise<Manifest> {
  const { files, path, keys = {}, open, signal } = options;
  const temporary = temporaryOf(path);
  await makeFolderDurably(files, dirname(path));
  await files.makePrivate(dirname(path), 'folder');
  await removeIfThere(files, temporary);
  try {
    const manifest = await writeParts(temporary, options);
    const written = await BackupFile.open(temporary, keys, open);
    try {
      await written.check({ load: true, ...(signal && { signal }) });
    } finally {
      await written.close();
    }
    signal?.throwIfAborted();
    await files.rename(temporary, path);
    await files.syncFolder(dirname(path));
    return manifest;
  } catch (error) {
    try {
      await removeIfThere(files, temporary);
    } catch (leftover) {
      const message = `${path} was not written, and its remains not removed`;
      throw new AggregateError([error, leftover], message, { cause: leftover });
    }
    throw error;
  }
}

async function writeParts(
  temporary: string,
  { files, head, documents, keys: { current } = {}, count, onProgress, signal }: WriteBackupOptions,
): Promise<Manifest> {
  const mtime = Math.floor(Date.parse(head.created_at) / 1000);
  const file = await files.create(temporary);
  try {
    const entries: BackedUp[] = [];
    let bytes = 0;
    const sealed_with = current?.id ?? null;
    for await (const { bytes: plain, ...document } of documents) {
      signal?.throwIfAborted();
      const contents = current === undefined ? plain : seal(current, sealedAs(document.id), plain);
      await writePart(file, fileOf(document.id, sealed_with), contents, mtime);
      entries.push({ ...document, size: contents.length, sha256: sha256(contents) });
      bytes += contents.length;
      onProgress?.({ documents: entries.length, of: Math.max(count, entries.length), bytes });
    }
    if (!entries.some(({ kind }) => kind === 'cluster')) {
      throw new BackupError('nothing', 'there is no cluster document to back up');
    }
    const schemas = [...new Set(entries.map(({ schema }) => schema))].sort((a, b) => a - b);
    const manifest: Manifest = { format: FORMAT, ...head, sealed_with, schemas, documents: entries };
    const said = encodeManifest(manifest);
    await writePart(file, MANIFEST, said, mtime);
    await writePart(file, SUMS, sumsOf(manifest, said), mtime);
    await file.write(END);
    await file.sync();
    return manifest;
  } finally {
    await file.close();
  }
}

async function writePart(file: OpenFile, name: string, contents: Uint8Array, mtime: number): Promise<void> {
  const header = tarHeader({ name, size: contents.length, mtime });
  await file.write(Buffer.concat([header, contents, Buffer.alloc(paddingOf(contents.length))]));
}
