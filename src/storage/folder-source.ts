import type { StorageKey } from '@automerge/automerge-repo';
import { ChunkReader } from './chunk-reader.js';
import type { ChunkSource, Look } from './chunk-store.js';
import { nodeFiles } from './file-layer.js';
import { PLAIN } from './seal-record.js';
import { readSealState } from './seal-state.js';
import { checkKeys, UnsealedChunks } from './sealed-chunks.js';
import type { Keyring } from './sealed-chunks.js';
import { VerifiedChunks } from './verified-chunks.js';

/**
 * The chunks of a folder, plain or encrypted, verified; changes nothing there, and needs no lock. Rejects with a
 * `SealError` when the keys do not fit.
 */
export class FolderSource implements ChunkSource {
  readonly #dir: string;
  readonly #keyring: Keyring;
  #opened: Promise<ChunkSource> | undefined;

  constructor(dir: string, keyring: Keyring = {}) {
    this.#dir = dir;
    this.#keyring = keyring;
  }

  async keys(prefix: StorageKey): Promise<StorageKey[]> {
    return await (await this.#chunks()).keys(prefix);
  }

  async look(key: StorageKey): Promise<Look> {
    return await (await this.#chunks()).look(key);
  }

  #chunks(): Promise<ChunkSource> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async #open(): Promise<ChunkSource> {
    const reader = new ChunkReader(this.#dir, nodeFiles);
    const { state } = await readSealState(reader);
    checkKeys(state, this.#keyring, this.#dir);
    const takesPlain = typeof state === 'string' || state.reads.includes(PLAIN);
    return new VerifiedChunks(new UnsealedChunks(reader, this.#dir, this.#keyring, () => takesPlain));
  }
}
