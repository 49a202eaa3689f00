import { join } from 'node:path';
import type { StorageKey } from '@automerge/automerge-repo';
import { readIfThere } from './atomic-write.js';
import { chunkFault } from './chunk-check.js';
import { decodeSidecar, nameIsSum } from './checksum.js';
import type { Sidecar } from './checksum.js';
import { ASIDE, flatName, keyOfPlace, placeOfKey } from './chunk-key.js';
import { errnoOf } from './file-layer.js';
import type { FileLayer, FolderEntry } from './file-layer.js';
import { Limit } from './limit.js';

/** A look at one stored key. `unreadable` is the disk's fault and leaves the file where it is. */
export type Look =
  | { state: 'absent' }
  | { state: 'good'; bytes: Uint8Array }
  | { state: 'bad'; reason: string; size: number }
  | { state: 'unreadable'; error: unknown };

/** Too many open files and the like: not a word about the file. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EINTR', 'ENOMEM']);

/** Finds and verifies stored files; changes nothing. */
export class ChunkReader {
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
        const sidecar = nameIsSum(key) ? undefined : await this.#sidecar(placeOfKey(key));
        const reason = chunkFault(key, bytes, sidecar);
        return reason === undefined ? { state: 'good', bytes } : { state: 'bad', reason, size: bytes.length };
      } catch (error) {
        if (PASSING.has(errnoOf(error) ?? '')) throw error;
        return { state: 'unreadable', error };
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
    return keys.sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1));
  }

  async #sidecar(place: string[]): Promise<Sidecar | undefined> {
    const bytes = await readIfThere(this.#files, join(this.#dir, ASIDE.checksums, flatName(place)));
    return bytes && decodeSidecar(bytes);
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
        .map(async ({ name, folder }) => (folder ? await this.#walk([...place, name]) : [[...place, name]])),
    );
    return found.flat();
  }
}
