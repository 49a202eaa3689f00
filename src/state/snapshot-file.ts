import { join } from 'node:path';
import { readIfThere, removeIfThere, writeAtomically } from '../storage/atomic-write.js';
import type { FileLayer } from '../storage/file-layer.js';
import { inFolder } from '../storage/in-folder.js';
import { isFolderInPlace, putAside } from '../storage/put-aside.js';
import { seal, sealedWith, unseal } from '../storage/seal.js';
import { keyNamed, type Keyring } from '../storage/sealed-chunks.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { PersistedState } from './persisted-state.js';
import { readSnapshot, type ReadSnapshot } from './snapshot-text.js';

/** Damaged snapshots that stay for who wants to look. */
const MOST_ASIDE = 3;
/** What an encrypted snapshot is bound to: nothing else that was encrypted with the key passes for it. */
const SEALED_AS = ['understudy-state'];

export interface SnapshotFileOptions {
  dir: string;
  /** It is encrypted where the documents are. */
  keys: Keyring;
  files: FileLayer;
  clock: Clock;
  log: Log;
}

/** `none`: it is not there, or cannot be read here, which the log says; what is damaged was put aside. */
export type FoundSnapshot =
  | { readonly is: 'good'; readonly state: PersistedState }
  | { readonly is: 'damaged'; readonly reason: string; readonly quarantined: string | undefined }
  | { readonly is: 'none' };

const NONE: FoundSnapshot = { is: 'none' };

/** `state.json` of a data folder: what stood when it was last saved, for people and tools. No document is made from it. */
export class SnapshotFile {
  readonly path: string;

  constructor(private readonly options: SnapshotFileOptions) {
    this.path = join(options.dir, 'state.json');
  }

  /** Old or new after a kill, and on disk when it resolves. Gives its size. One at a time. */
  async write(plain: Uint8Array): Promise<number> {
    const { dir, keys, files, log } = this.options;
    const bytes = keys.current === undefined ? plain : seal(keys.current, SEALED_AS, plain);
    await inFolder(dir, { files, log }, () => writeAtomically(files, this.path, bytes));
    return bytes.length;
  }

  /** What a kill left half written. */
  async removeLeftover(): Promise<void> {
    await removeIfThere(this.options.files, `${this.path}.tmp`);
  }

  /** The last snapshot. Never rejects: everything in it but its time stands in the documents. */
  async read(): Promise<FoundSnapshot> {
    const { files, log } = this.options;
    try {
      const bytes = await readIfThere(files, this.path);
      if (bytes === undefined) return NONE;
      const read = this.#open(bytes);
      if (read === undefined) return NONE;
      if (read.is === 'damaged') return await this.#quarantine(read.reason);
      if (read.is === 'good') return read;
      log.warn({ file: this.path, version: read.version }, 'the snapshot is of a later version');
    } catch (error) {
      if (isFolderInPlace(error)) return this.#quarantine('a folder stands in its place');
      log.error({ err: error, file: this.path }, 'the snapshot cannot be read: going on without it');
    }
    return NONE;
  }

  /** Undefined when it is encrypted with a key that is not here: that is no damage, and the next one replaces it. */
  #open(bytes: Uint8Array): ReadSnapshot | undefined {
    const { keys, log } = this.options;
    const id = sealedWith(bytes);
    if (id === undefined) return readSnapshot(bytes);
    const key = keyNamed(keys, id);
    if (key === undefined) {
      log.warn({ file: this.path }, 'the snapshot is encrypted with a key that is not here');
      return undefined;
    }
    const plain = unseal(key, SEALED_AS, bytes);
    return plain === undefined ? { is: 'damaged', reason: 'not what was encrypted' } : readSnapshot(plain);
  }

  async #quarantine(reason: string): Promise<FoundSnapshot> {
    const { files, clock, log } = this.options;
    let aside: string | undefined;
    try {
      aside = await putAside(files, this.path, clock);
      await this.#forgetOld();
    } catch (error) {
      log.error({ err: error, file: this.path }, 'a damaged snapshot could not be put aside');
    }
    log.error(
      { file: this.path, reason, quarantined: aside },
      'the snapshot of the state is damaged: going on from the documents, and it is made anew',
    );
    return { is: 'damaged', reason, quarantined: aside };
  }

  async #forgetOld(): Promise<void> {
    const { dir, files } = this.options;
    const aside = (await files.list(dir)).filter(
      ({ name, folder }) => !folder && name.startsWith('state.json.quarantine-'),
    );
    const old = aside.map(({ name }) => name).sort();
    for (const name of old.slice(0, -MOST_ASIDE)) await removeIfThere(files, join(dir, name));
  }
}
