import { open, type FileHandle } from 'node:fs/promises';
import * as A from '@automerge/automerge';
import { sha256 } from '../storage/checksum.js';
import { errnoOf } from '../storage/file-layer.js';
import { keyNamed, type Keyring } from '../storage/sealed-chunks.js';
import { unseal } from '../storage/seal.js';
import { BackupError } from './errors.js';
import {
  decodeManifest,
  fileOf,
  MANIFEST,
  sealedAs,
  SUMS,
  sumsOf,
  type BackedUp,
  type Manifest,
} from './manifest.js';
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
    private readonly keys: Keyring,
  ) {}

  /**
   * @param keys of an encrypted one; without its key everything can be looked at but the documents themselves.
   * @throws {BackupError} `damaged`, `newer`; file system errors as they are.
   */
  static async open(path: string, keys: Keyring = {}): Promise<BackupFile> {
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
      if (!(await contentsOf(file, sums)).equals(sumsOf(manifest, bytes))) {
        throw new BackupError('damaged', `${SUMS} does not fit ${MANIFEST}`);
      }
      const mtime = Math.floor(Date.parse(manifest.created_at) / 1000);
      const told = manifest.documents.map(
        ({ id, size: length }) => `${fileOf(id, manifest.sealed_with)} ${length} ${mtime}`,
      );
      const there = parts.map((part) => `${part.name} ${part.size} ${part.mtime}`);
      const isWhole = told.length === there.length && told.every((line, at) => line === there[at]);
      if (!isWhole || said.mtime !== mtime || sums.mtime !== mtime) {
        throw new BackupError('damaged', `it does not hold the documents that ${MANIFEST} names`);
      }
      return new BackupFile(
        path,
        size,
        manifest,
        new Map(parts.map((part) => [part.name, part])),
        file,
        keys,
      );
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The bytes of a document, as one Automerge save. @throws {BackupError} `damaged`, `sealed`. */
  async read(document: BackedUp): Promise<Uint8Array> {
    return this.#unsealed(document, await this.#stored(document));
  }

  async #stored(document: BackedUp): Promise<Uint8Array> {
    const name = fileOf(document.id, this.manifest.sealed_with);
    const part = this.parts.get(name);
    if (part === undefined) throw new BackupError('damaged', `${document.name} is not in it`);
    const bytes = await contentsOf(this.file, part);
    if (sha256(bytes) === document.sha256) return bytes;
    throw new BackupError('damaged', `${document.name} (${name}) has other bytes than written`);
  }

  #unsealed({ id, name }: BackedUp, stored: Uint8Array): Uint8Array {
    const { sealed_with } = this.manifest;
    if (sealed_with === null) return stored;
    const key = keyNamed(this.keys, sealed_with);
    if (key === undefined) {
      const message = `it is encrypted with storage key ${sealed_with}, which is not here: set UNDERSTUDY_STORAGE_KEY or UNDERSTUDY_STORAGE_KEY_PREVIOUS to it`;
      throw new BackupError('sealed', message);
    }
    const bytes = unseal(key, sealedAs(id), stored);
    if (bytes === undefined) throw new BackupError('damaged', `${name} is not what was encrypted here`);
    return bytes;
  }

  /**
   * Goes through all documents: their checksums, and with `load` also that Automerge reads each and finds the heads
   * that the manifest names.
   *
   * @throws {BackupError} `damaged`, at the first thing that is wrong; `sealed`, of `load`, after all checksums.
   */
  async check(options: { load: boolean; onProgress?: OnProgress; signal?: AbortSignal }): Promise<void> {
    const { documents } = this.manifest;
    let bytes = 0;
    let sealed: BackupError | undefined;
    for (const [index, document] of documents.entries()) {
      options.signal?.throwIfAborted();
      const stored = await this.#stored(document);
      if (options.load && sealed === undefined) {
        try {
          assertHeads(document, this.#unsealed(document, stored));
        } catch (error) {
          if (!(error instanceof BackupError) || error.code !== 'sealed') throw error;
          sealed = error;
        }
      }
      bytes += document.size;
      options.onProgress?.({ documents: index + 1, of: documents.length, bytes });
    }
    if (sealed !== undefined) throw sealed;
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
