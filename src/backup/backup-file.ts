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
import { contentsOf, partsOf, type Part } from './parts.js';
import { openReadable, type OpenReadable, type ReadableFile } from './readable-file.js';

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
    private readonly file: ReadableFile,
    private readonly keys: Keyring,
  ) {}

  /**
   * @param keys of an encrypted one; without its key everything can be looked at but the documents themselves.
   * @throws {BackupError} `damaged`, `newer`; file system errors as they are.
   */
  static async open(
    path: string,
    keys: Keyring = {},
    open: OpenReadable = openReadable,
  ): Promise<BackupFile> {
    const file = await open(path);
    try {
      const parts = await partsOf(file);
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
        file.size,
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

/** What a person is told of a backup that cannot be used; undefined for what is no word about the file. */
export function faultOf(error: unknown): string | undefined {
  if (error instanceof BackupError) return error.message;
  const code = errnoOf(error);
  return code === undefined ? undefined : `it cannot be read (${code})`;
}
