import * as A from '@automerge/automerge';
import type { StorageAdapterInterface } from '@automerge/automerge-repo';
import { z } from 'zod';
import type { Document } from '../documents/document.js';
import { kind } from './manifest.js';
import type { DocumentToBackUp } from './write-backup.js';

/** The documents of a folder, as chunks that were verified one by one. */
export interface StoredChunks {
  ids(): Promise<string[]>;
  chunks(id: string): Promise<Uint8Array[]>;
}

/** Those of an open storage. */
export function chunksOf(
  storage: Pick<StorageAdapterInterface, 'loadRange'> & { documents(): Promise<string[]> },
): StoredChunks {
  return {
    ids: () => storage.documents(),
    chunks: async (id) =>
      (await storage.loadRange([id])).flatMap(({ key, data }) =>
        data !== undefined && (key[1] === 'snapshot' || key[1] === 'incremental') ? [data] : [],
      ),
  };
}

/** One document out of its chunks, in any order; empty without any. Free it. Throws what Automerge throws. */
export function assembled(chunks: readonly Uint8Array[]): Document {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return A.load(only, { allowMissingChanges: true });
  let document: Document = A.init<Record<string, unknown>>();
  for (const chunk of chunks) document = A.loadIncremental(document, chunk);
  return document;
}

const said = z.object({
  kind,
  index: z.int().nonnegative().default(0),
  generation: z.int().nonnegative().default(0),
  schema: z.int().nonnegative(),
});

/** What a document says of itself; undefined for what is none of ours, or lacks its first change. */
export function describeContents(document: Document): z.output<typeof said> | undefined {
  return said.safeParse({ ...document }).data;
}

const nameOf = ({ kind: family, index, generation }: z.output<typeof said>): string => {
  const base = family === 'cluster' ? family : `${family}/${index}`;
  return generation === 0 ? base : `${base}.${generation}`;
};

/** A document as it goes into a backup, with all its history; undefined for what is none of ours. */
export function toBackUp(id: string, document: Document): DocumentToBackUp | undefined {
  const contents = describeContents(document);
  if (contents === undefined) return undefined;
  const heads = A.getHeads(document).sort();
  return { id, ...contents, name: nameOf(contents), heads, bytes: A.save(document) };
}
