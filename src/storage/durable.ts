import { join } from 'node:path';
import type { Chunk, StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
import type { Clock } from '../time/clock.js';
import { makeFolderDurably } from './atomic-write.js';
import type { Durability } from './atomic-write.js';
import { ASIDE, flatName, isDocumentChunk, placeOfFlatName, placeOfKey, startsWith } from './chunk-key.js';
import { ChunkReader } from './chunk-reader.js';
import { ChunkWriter } from './chunk-writer.js';
import type { ChunkOp } from './chunk-writer.js';
import { errnoOf, nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import { WriteQueue } from './write-queue.js';
import type { Failures } from './write-queue.js';

/** What happened to the files, for health, metrics and whoever heals documents from peers. */
export type StorageEvent =
  /** A stored file was not what was written; the repo goes on without it. `document` is partial until healed. */
  | {
      type: 'state:recovered';
      key: StorageKey;
      document: string | undefined;
      reason: string;
      /** Its place now; undefined when it could not be moved or read. */
      quarantined: string | undefined;
    }
  /** Writes failed, are kept in memory and tried again in `retryMs`. */
  | { type: 'state:save-error'; code: string; failed: number; attempt: number; retryMs: number }
  /** All that had failed is on disk now. */
  | { type: 'state:save-restored'; attempts: number };

export interface DurableStorageOptions {
  /** Made with mode 0700 when missing. One process per folder: hold `lockFolder` around it. */
  dir: string;
  log: Log;
  durability?: Durability;
  onEvent?: (event: StorageEvent) => void;
  files?: FileLayer;
  clock?: Clock;
}

/** How the writes stand: `failing` when something waits that the disk has refused. */
export interface StorageStatus {
  state: 'idle' | 'writing' | 'failing' | 'closed';
  pendingWrites: number;
  pendingBytes: number;
  saved: number;
  saveErrors: number;
  recovered: number;
}

/**
 * automerge-repo storage on the layout of its NodeFS adapter, which can read these files, with what that one
 * lacks (AUTOMERGE.md, Durability): atomic, synced, batched writes; every file verified by itself before the
 * repo sees it; no cache beyond what is being written.
 *
 * **When is it on disk?** The promise of `save` resolves when its bytes are, and never before: a disk that
 * refuses is tried again for as long as it takes. So `repo.flush()` resolves with the truth, and hangs while
 * the disk is failing: give it a deadline, and look at `status()` for the reason. `save` never rejects,
 * because upstream saves in the background without a catch and a rejection there ends the process, and
 * because a rejection inside a compaction switches compaction off for good. `settled()` covers also what the
 * repo writes in the background.
 */
export class DurableStorage implements StorageAdapterInterface {
  readonly #dir: string;
  readonly #log: Log;
  readonly #files: FileLayer;
  readonly #durability: Durability;
  readonly #clock: Clock;
  readonly #onEvent: (event: StorageEvent) => void;
  readonly #reader: ChunkReader;
  readonly #writer: ChunkWriter;
  readonly #queue: WriteQueue<ChunkOp>;
  readonly #count = { saved: 0, saveErrors: 0, recovered: 0 };
  #opened: Promise<void> | undefined;
  #closed = false;

  constructor(options: DurableStorageOptions) {
    this.#dir = options.dir;
    this.#log = options.log;
    this.#files = options.files ?? nodeFiles;
    this.#durability = options.durability ?? 'fsync';
    this.#clock = options.clock ?? systemClock;
    this.#onEvent = options.onEvent ?? (() => {});
    this.#reader = new ChunkReader(this.#dir, this.#files);
    this.#writer = new ChunkWriter({ dir: this.#dir, files: this.#files, durability: this.#durability });
    this.#queue = new WriteQueue<ChunkOp>({
      clock: this.#clock,
      commit: (batch) => this.#commit(batch),
      same: sameOp,
      onFailure: (failures, attempt, retryMs) => this.#alarm(failures, attempt, retryMs),
      onRestored: (attempts) => {
        this.#log.info({ attempts }, 'storage writes again; all that had failed is on disk');
        this.#emit({ type: 'state:save-restored', attempts });
      },
    });
  }

  /** The value of a key; undefined when there is none, or only a bad one (which goes to quarantine). */
  async load(key: StorageKey): Promise<Uint8Array | undefined> {
    await this.#ready();
    const waiting = this.#queue.get(idOf(key));
    if (waiting) return waiting.kind === 'save' ? waiting.bytes : undefined;
    const look = await this.#reader.look(key);
    if (look.state === 'good') return look.bytes;
    if (look.state === 'bad') await this.#quarantine(key, look.reason, look.size);
    if (look.state === 'unreadable') this.#unreadable(key, look.error);
    return undefined;
  }

  /** Resolves when the bytes are on disk; see the class. Never rejects. */
  async save(key: StorageKey, bytes: Uint8Array): Promise<void> {
    await this.#put({ kind: 'save', key, bytes });
  }

  /** Resolves when the removal is on disk. Never rejects. */
  async remove(key: StorageKey): Promise<void> {
    await this.#put({ kind: 'remove', key });
  }

  /**
   * Every good value under a prefix, in the order of the keys.
   *
   * @throws when the folder itself cannot be read: an empty answer would say that nothing was ever saved.
   */
  async loadRange(prefix: StorageKey): Promise<Chunk[]> {
    const keys = await this.#keys(prefix);
    const chunks = await Promise.all(keys.map(async (key) => ({ key, data: await this.load(key) })));
    return chunks.filter((chunk) => chunk.data !== undefined);
  }

  /** The ids of all documents that something is stored of. */
  async documents(): Promise<string[]> {
    const ids = (await this.#keys([])).filter(isDocumentChunk).map(([id]) => id);
    return [...new Set(ids.filter((id) => id !== undefined))];
  }

  async removeRange(prefix: StorageKey): Promise<void> {
    await Promise.all((await this.#keys(prefix)).map((key) => this.remove(key)));
  }

  /** Resolves when every write asked for up to now is on disk. Hangs while the disk fails: use a deadline. */
  async settled(): Promise<void> {
    await this.#queue.settled();
  }

  status(): StorageStatus {
    const pending = [...this.#queue.pending().values()];
    return {
      state: this.#closed
        ? 'closed'
        : this.#queue.failing
          ? 'failing'
          : pending.length > 0
            ? 'writing'
            : 'idle',
      pendingWrites: pending.length,
      pendingBytes: pending.reduce((sum, op) => sum + (op.kind === 'save' ? op.bytes.length : 0), 0),
      ...this.#count,
    };
  }

  /**
   * Waits for what is pending, until `signal` is aborted; after that nothing is written any more. What then
   * remains unwritten is logged, and stays unacknowledged.
   */
  async close(signal: AbortSignal): Promise<void> {
    await Promise.race([
      this.settled(),
      new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    ]);
    this.#closed = true;
    this.#queue.stop();
    const { pendingWrites, pendingBytes } = this.status();
    if (pendingWrites > 0) this.#log.error({ pendingWrites, pendingBytes }, 'closed with writes not on disk');
  }

  async #put(op: ChunkOp): Promise<void> {
    if (this.#closed) {
      // The repo's background saves may come after the end. To resolve would be a lie, to reject ends the process.
      this.#log.warn({ key: op.key, kind: op.kind }, 'write after close, not carried out');
      return await new Promise<never>(() => {});
    }
    await this.#queue.put(idOf(op.key), op);
  }

  async #commit(batch: ReadonlyMap<string, ChunkOp>): Promise<Failures> {
    try {
      await this.#ready();
      const failures = await this.#writer.commit(batch);
      for (const [id, op] of batch) if (op.kind === 'save' && !failures.has(id)) this.#count.saved += 1;
      return failures;
    } catch (error) {
      return new Map([...batch.keys()].map((id) => [id, error]));
    }
  }

  async #keys(prefix: StorageKey): Promise<StorageKey[]> {
    await this.#ready();
    const keys = new Map((await this.#reader.keys(prefix)).map((key) => [idOf(key), key]));
    for (const [id, op] of this.#queue.pending()) {
      if (!startsWith(op.key, prefix)) continue;
      if (op.kind === 'save') keys.set(id, op.key);
      else keys.delete(id);
    }
    return [...keys.values()];
  }

  async #quarantine(key: StorageKey, reason: string, size: number): Promise<void> {
    const name = `${flatName(placeOfKey(key))}.${this.#clock.now()}`;
    const to = join(this.#dir, ASIDE.quarantine, name);
    // A save of the same key has come meanwhile, and replaces the bad file.
    if (this.#queue.get(idOf(key))) return;
    let quarantined: string | undefined;
    let failure: unknown;
    const moved = (error?: unknown) => {
      failure = error;
      if (error === undefined) quarantined = to;
    };
    if (!this.#closed) await this.#put({ kind: 'quarantine', key, to, moved });
    this.#count.recovered += 1;
    const document = isDocumentChunk(key) ? key[0] : undefined;
    const lost = document === undefined ? 'a value of the repo' : `changes (${key[1]}) of a document`;
    this.#log.error(
      { key, document, reason, size, lost, quarantined, error: failure },
      'stored file is corrupt: going on without it',
    );
    this.#emit({ type: 'state:recovered', key, document, reason, quarantined });
  }

  #unreadable(key: StorageKey, error: unknown): void {
    this.#count.recovered += 1;
    const document = isDocumentChunk(key) ? key[0] : undefined;
    const reason = `cannot be read (${errnoOf(error) ?? String(error)})`;
    this.#log.error(
      { key, document, reason },
      'stored file cannot be read: left in place, going on without it',
    );
    this.#emit({ type: 'state:recovered', key, document, reason, quarantined: undefined });
  }

  #alarm(failures: Failures, attempt: number, retryMs: number): void {
    const [first] = failures.values();
    this.#count.saveErrors += failures.size;
    const code = errnoOf(first) ?? 'unknown';
    const fields = { code, failed: failures.size, attempt, retryMs };
    this.#log.error(
      { ...fields, error: first, dir: this.#dir },
      'saving state failed; kept in memory, nothing acknowledged',
    );
    this.#emit({ type: 'state:save-error', ...fields });
  }

  #emit(event: StorageEvent): void {
    try {
      this.#onEvent(event);
    } catch (error) {
      this.#log.error({ error, event: event.type }, 'a listener of storage events threw');
    }
  }

  /** Opened at the first use, and again at the next one if that fails. */
  #ready(): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #open(): Promise<void> {
    for (const folder of [this.#dir, join(this.#dir, ASIDE.temporary), join(this.#dir, ASIDE.checksums)]) {
      await makeFolderDurably(this.#files, folder, this.#durability);
    }
    const leftovers = await this.#files.list(join(this.#dir, ASIDE.temporary));
    for (const { name } of leftovers) await this.#files.remove(join(this.#dir, ASIDE.temporary, name));
    const orphans = await this.#sweepChecksums();
    if (leftovers.length + orphans > 0) {
      this.#log.info(
        { temporary: leftovers.length, checksums: orphans },
        'remains of an earlier end removed',
      );
    }
  }

  /** A kill between the removal of a file and that of its checksum leaves the latter. */
  async #sweepChecksums(): Promise<number> {
    const folder = join(this.#dir, ASIDE.checksums);
    let orphans = 0;
    for (const { name } of await this.#files.list(folder)) {
      const place = placeOfFlatName(name);
      if (!place || (await this.#files.exists(join(this.#dir, ...place)))) continue;
      await this.#files.remove(join(folder, name));
      orphans += 1;
    }
    return orphans;
  }
}

const idOf = (key: StorageKey): string => JSON.stringify(key);

function sameOp(one: ChunkOp, other: ChunkOp): boolean {
  if (one.kind !== 'save' || other.kind !== 'save') return one.kind === other.kind && one.kind === 'remove';
  return Buffer.compare(one.bytes, other.bytes) === 0;
}
