import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import * as A from '@automerge/automerge';
import { ChunkReader } from '../../src/storage/chunk-reader.js';
import { nodeFiles } from '../../src/storage/file-layer.js';

/** Something that stands on a disk, readable: a file as it is, a change of a document's history, or its present view. */
export interface Stored {
  where: string;
  bytes: Uint8Array;
}

/** Type byte of a change whose body is deflated, in Automerge's binary format. */
const DEFLATED_CHANGE = 2;
const TYPE_AT = 8;

/** Everything in a data folder: every file, and of every document the whole history, one change at a time. */
export async function* everythingIn(dataDir: string): AsyncGenerator<Stored> {
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    yield { where: relative(dataDir, path), bytes: await readFile(path) };
  }
  yield* historyOf(join(dataDir, 'documents'));
}

async function* historyOf(folder: string): AsyncGenerator<Stored> {
  const reader = new ChunkReader(folder, nodeFiles);
  const documents = new Map<string, A.Doc<Record<string, unknown>>>();
  for (const key of await reader.keys([])) {
    const [id, part] = key;
    // A relay's records of claims are none of Automerge's; as files they are in the list already.
    if (id === undefined || (part !== 'snapshot' && part !== 'incremental')) continue;
    const look = await reader.look(key);
    if (look.state !== 'good') throw new Error(`${key.join('/')} is ${look.state}`);
    documents.set(id, A.loadIncremental(documents.get(id) ?? A.init(), look.bytes));
  }
  for (const [id, document] of documents) {
    for (const change of A.getAllChanges(document)) yield* contentsOf(`document ${id}`, change);
    yield { where: `document ${id} now`, bytes: Buffer.from(JSON.stringify(document)) };
    A.free(document);
  }
}

/** One change: its message and operations decoded, and its bytes as they are, inflated where they are not. */
export function* contentsOf(where: string, change: Uint8Array): Generator<Stored> {
  const decoded = A.decodeChange(change);
  yield { where: `${where}, change ${decoded.seq}`, bytes: Buffer.from(JSON.stringify(decoded)) };
  yield { where: `${where}, bytes of change ${decoded.seq}`, bytes: change };
  if (change[TYPE_AT] !== DEFLATED_CHANGE) return;
  let body = TYPE_AT + 1;
  while (((change[body] ?? 0) & 0x80) !== 0) body += 1;
  yield {
    where: `${where}, inflated change ${decoded.seq}`,
    bytes: inflateRawSync(change.subarray(body + 1)),
  };
}

/** Whether a text stands in bytes, as UTF-8 or UTF-16. */
export const holds = (bytes: Uint8Array, text: string): boolean =>
  Buffer.from(bytes).includes(text) || Buffer.from(bytes).includes(Buffer.from(text, 'utf16le'));
