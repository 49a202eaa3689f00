import { open, type FileHandle } from 'node:fs/promises';
import * as A from '@automerge/automerge';
import { sha256 } from '../storage/checksum.js';
import { errnoOf } from '../storage/file-layer.js';
import { BackupError } from './errors.js';
import { decodeManifest, fileOf, MANIFEST, SUMS, sumsOf, type BackedUp, type Manifest } from './manifest.js';
import { BLOCK, END, paddingOf, readTarHeader, type TarEntry } from './tar.js';

/** A document is read as a whole, and a manifest too: what claims to be larger is refused before memory is given. */
const LARGEST_PART = 2 ** 30;

interface Part extends TarEntry {
  /** Of its contents. */
  offset: number;
}

/** How much of a backup has been gone through. */
export type OnProgress = (done: { documents: number; of: number; bytes: number }) => void;

/**
 * A backup, open for reading. Opening checks everything but the documents themselves: the headers, that nothing is
 * missing at the end, and the sums of manifest and documents against each other. {@link check} does the rest.
 */
export class BackupFile {
  private constructor(
    readonly path: string,
    readonly size: number,
    readonly manifest: Manifest,
    private readonly parts: ReadonlyMap<string, Part>,
    private readonly file: FileHandle,
  ) {}

  /** @throws {BackupError} `damaged`, `newer`; file system errors as they are. */
  static async open(path: string): Promise<BackupFile> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const parts = await partsOf(file, size);
      const sums = parts.pop();
      const said = parts.pop();
      if (sums?.name !== SUMS || said?.name !== MANIFEST) {
        throw new BackupError('damaged', `it does not end with ${MANIFEST} and ${SUMS}`);
      }
      const bytes = await contentsOf(file, said);
      const manifest = decodeManifest(bytes);
      if (!(await contentsOf(file, sums)).equals(sumsOf(manifest.documents, bytes))) {
        throw new BackupError('damaged', `${SUMS} does not fit ${MANIFEST}`);
      }
      const mtime = Math.floor(Date.parse(manifest.created_at) / 1000);
      const told = manifest.documents.map(({ id, size: length }) => `${fileOf(id)} ${length} ${mtime}`);
      const there = parts.map((part) => `${part.name} ${part.size} ${part.mtime}`);
      const isWhole = told.length === there.length && told.every((line, at) => line === there[at]);
      if (!isWhole || said.mtime !== mtime || sums.mtime !== mtime) {
        throw new BackupError('damaged', `it does not hold the documents that ${MANIFEST} names`);
      }
      return new BackupFile(path, size, manifest, new Map(parts.map((part) => [part.name, part])), file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The bytes of a document, as one Automerge save. @throws {BackupError} `damaged`. */
  async read(document: BackedUp): Promise<Uint8Array> {
    const part = this.parts.get(fileOf(document.id));
    if (part === undefined) throw new BackupError('damaged', `${document.name} is not in it`);
    const bytes = await contentsOf(this.file, part);
    if (sha256(bytes) === document.sha256) return bytes;
    throw new BackupError(
      'damaged',
      `${document.name} (${fileOf(document.id)}) has other bytes than written`,
    );
  }

  /**
   * Goes through all documents: their checksums, and with `load` also that Automerge reads each and finds the heads
   * that the manifest names.
   *
   * @throws {BackupError} `damaged`, at the first thing that is wrong.
   */
  async check(options: { load: boolean; onProgress?: OnProgress; signal?: AbortSignal }): Promise<void> {
    const { documents } = this.manifest;
    let bytes = 0;
    for (const [index, document] of documents.entries()) {
      options.signal?.throwIfAborted();
      const contents = await this.read(document);
      if (options.load) assertHeads(document, contents);
      bytes += document.size;
      options.onProgress?.({ documents: index + 1, of: documents.length, bytes });
    }
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

function assertHeads(document: BackedUp, bytes: Uint8Array): void {
  let loaded: A.Doc<unknown>;
  try {
    loaded = A.load(bytes, { allowMissingChanges: true, actor: '00' });
  } catch (error) {
    throw new BackupError('damaged', `${document.name}: Automerge cannot read it`, { cause: error });
  }
  const heads = A.getHeads(loaded).sort().join(' ');
  A.free(loaded);
  if (heads !== document.heads.join(' ')) {
    throw new BackupError('damaged', `${document.name} has other heads than ${MANIFEST} says`);
  }
}

async function partsOf(file: FileHandle, size: number): Promise<Part[]> {
  const parts: Part[] = [];
  const end = size - END.length;
  let at = 0;
  let padding = 0;
  while (at + padding < end) {
    const bytes = await bytesAt(file, at, padding + BLOCK);
    assertZero(bytes.subarray(0, padding), at);
    at += padding;
    const entry = readTarHeader(bytes.subarray(padding), at);
    at += BLOCK;
    if (at + entry.size > end) throw new BackupError('damaged', `it ends within ${entry.name}`);
    parts.push({ ...entry, offset: at });
    at += entry.size;
    padding = paddingOf(entry.size);
  }
  if (at + padding !== end) throw new BackupError('damaged', 'it is cut off, or longer than it was written');
  assertZero(await bytesAt(file, at, padding + END.length), at);
  return parts;
}

function assertZero(bytes: Buffer, at: number): void {
  if (bytes.some((byte) => byte !== 0)) throw new BackupError('damaged', `no zeros after byte ${at}`);
}

async function contentsOf(file: FileHandle, { name, offset, size }: Part): Promise<Buffer> {
  if (size > LARGEST_PART) throw new BackupError('damaged', `${name} claims ${size} bytes`);
  return bytesAt(file, offset, size);
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new BackupError('damaged', `it ends at byte ${position + done}`);
    done += bytesRead;
  }
  return bytes;
}

/** What a person is told of a backup that cannot be used; undefined for what is no word about the file. */
export function faultOf(error: unknown): string | undefined {
  if (error instanceof BackupError) return error.message;
  const code = errnoOf(error);
  return code === undefined ? undefined : `it cannot be read (${code})`;
}
