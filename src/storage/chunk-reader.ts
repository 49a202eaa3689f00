import { join } from 'node:path';
import type { StorageKey } from '@automerge/automerge-repo';
import { readIfThere } from './atomic-write.js';
import { decodeSidecar, nameIsSum, sha256 } from './checksum.js';
import type { Sidecar } from './checksum.js';
import { ASIDE, flatName, isLeaf, keyOfPlace, placeOfKey } from './chunk-key.js';
import { byKey } from './chunk-store.js';
import type { ChunkSource, Look } from './chunk-store.js';
import { errnoOf } from './file-layer.js';
import type { FileLayer, FolderEntry } from './file-layer.js';
import { Limit } from './limit.js';

/** Too many open files and the like: not a word about the file. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EINTR', 'ENOMEM']);

/** Finds stored files and verifies that they are what was written; changes nothing. */
export class ChunkReader implements ChunkSource {
  readonly #dir: string;
  readonly #files: FileLayer;
  readonly #open = new Limit(32);

  constructor(dir: string, files: FileLayer) {
    this.#dir = dir;
    this.#files = files;
  }

  /** @throws when too many files are open in this process or system: then nothing may be said of the key. */
  async look(key: StorageKey): Promise<Look> {
    const first = await this.#lookOnce(key);
    // A save between our two reads shows new bytes beside an old checksum. What is bad stays bad.
    return first.state === 'bad' ? await this.#lookOnce(key) : first;
  }

  async #lookOnce(key: StorageKey): Promise<Look> {
    return await this.#open.run(async () => {
      try {
        const bytes = await readIfThere(this.#files, join(this.#dir, ...placeOfKey(key)));
        if (bytes === undefined) return { state: 'absent' };
        // A name that is a sum, or the tag of an encrypted chunk, is checked by whoever reads on.
        const sidecar = nameIsSum(key) ? undefined : await this.#sidecar(placeOfKey(key));
        if (!sidecar || sidecar.sha256.includes(sha256(bytes))) return { state: 'good', bytes };
        return { state: 'bad', reason: 'bytes do not match the checksum', size: bytes.length };
      } catch (error) {
        if (PASSING.has(errnoOf(error) ?? '')) throw error;
        if (errnoOf(error) !== 'EISDIR') return { state: 'unreadable', error };
        // Elsewhere it holds other keys.
        if (!isLeaf(placeOfKey(key))) return { state: 'absent' };
        return { state: 'bad', reason: 'a folder stands in its place', size: 0 };
      }
    });
  }

  /** The stored keys that begin with `prefix`, sorted. Names that no key of ours has are left out. */
  async keys(prefix: StorageKey): Promise<StorageKey[]> {
    const keys: StorageKey[] = [];
    for (const place of await this.#walk(placeOfKey(prefix))) {
      const key = keyOfPlace(place) ?? (await this.#sidecar(place))?.key;
      if (key) keys.push(key);
    }
    return keys.sort(byKey);
  }

  async #sidecar(place: string[]): Promise<Sidecar | undefined> {
    try {
      const bytes = await readIfThere(this.#files, join(this.#dir, ASIDE.checksums, flatName(place)));
      return bytes && decodeSidecar(bytes);
    } catch (error) {
      // As rotten as any: it must not condemn a good file.
      if (errnoOf(error) === 'EISDIR') return undefined;
      throw error;
    }
  }

  async #walk(place: string[]): Promise<string[][]> {
    let entries: FolderEntry[];
    try {
      entries = await this.#open.run(() => this.#files.list(join(this.#dir, ...place)));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
      throw error;
    }
    const aside = new Set<string>(place.length === 0 ? Object.values(ASIDE) : []);
    const found = await Promise.all(
      entries
        .filter((entry) => !aside.has(entry.name))
        .map(async ({ name, folder }) => {
          const here = [...place, name];
          return folder && !isLeaf(here) ? await this.#walk(here) : [here];
        }),
    );
    return found.flat();
  }
}
