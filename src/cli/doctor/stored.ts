import * as A from '@automerge/automerge';
import { describeContents } from '../../backup/stored-document.js';
import type { Document } from '../../documents/document.js';
import { documentMaps } from '../../documents/genesis.js';
import { describeDocument, type DocumentKind } from '../../documents/ids.js';
import { schemaOf } from '../../documents/schema.js';
import { FolderSource } from '../../storage/folder-source.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import { errnoOf } from '../../storage/file-layer.js';
import { documentsFolder } from '../inspect/folder.js';

/** A document as its files say it. */
export interface StoredDocument {
  id: string;
  /** As `routing/3`. */
  name: string;
  kind: DocumentKind;
  index: number;
  generation: number;
  schema: number;
  document: Document;
  bytes: number;
  chunks: number;
}

/** A stored file that cannot be used; the key says of which document. */
export interface BadChunk {
  key: string;
  reason: string;
  /** The disk's fault, and not the file's. */
  unreadable: boolean;
}

export interface Stored {
  documents: StoredDocument[];
  bad: BadChunk[];
  /** Documents whose chunks make no document of ours, with the reason. */
  unreadable: { id: string; reason: string }[];
  bytes: number;
  chunks: number;
}

/**
 * Every chunk of a data folder looked at by itself, and every document put together; changes nothing. Rejects with
 * a `SealError` when the keys do not fit. Beside a running holder a file may go while this reads; that is no fault.
 */
export async function readStored(dataDir: string, keys: Keyring, signal: AbortSignal): Promise<Stored> {
  const source = new FolderSource(documentsFolder(dataDir), keys);
  const stored: Stored = { documents: [], bad: [], unreadable: [], bytes: 0, chunks: 0 };
  const parts = new Map<string, Uint8Array[]>();
  for (const key of await source.keys([])) {
    signal.throwIfAborted();
    const [id = '', kind] = key;
    const look = await source.look(key);
    if (look.state === 'bad') stored.bad.push({ key: key.join('/'), reason: look.reason, unreadable: false });
    if (look.state === 'unreadable') {
      const reason = errnoOf(look.error) ?? String(look.error);
      stored.bad.push({ key: key.join('/'), reason, unreadable: true });
    }
    if (look.state !== 'good' || (kind !== 'snapshot' && kind !== 'incremental')) continue;
    stored.chunks += 1;
    stored.bytes += look.bytes.length;
    parts.set(id, [...(parts.get(id) ?? []), look.bytes]);
  }
  for (const [id, chunks] of parts) {
    signal.throwIfAborted();
    const found = documentOf(id, chunks);
    if (typeof found === 'string') stored.unreadable.push({ id, reason: found });
    else stored.documents.push(found);
  }
  return stored;
}

/** The reason when it is none. */
function documentOf(id: string, chunks: Uint8Array[]): StoredDocument | string {
  let document: Document = A.init<Record<string, unknown>>();
  try {
    for (const chunk of chunks) document = A.loadIncremental(document, chunk);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const contents = describeContents(document);
  if (contents === undefined) return 'its first change is missing, or it is no document of ours';
  const { kind, index, generation } = contents;
  const schema = schemaOf(document) ?? contents.schema;
  if (!isKind(kind)) return `it is of a kind that this version does not know (${kind})`;
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const name = describeDocument({ kind, index, generation });
  return { id, name, kind, index, generation, schema, document, bytes, chunks: chunks.length };
}

const isKind = (kind: string): kind is DocumentKind => Object.hasOwn(documentMaps, kind);
