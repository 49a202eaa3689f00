import type { Chunk, StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import { systemClock } from '../time/clock.js';
import type { Clock } from '../time/clock.js';
import type { Durability } from './atomic-write.js';
import { isDocumentChunk, startsWith } from './chunk-key.js';
import { byKey } from './chunk-store.js';
import type { ChunkOp, ChunkStore } from './chunk-store.js';
import { Damage } from './damage.js';
import { errnoOf, nodeFiles } from './file-layer.js';
import type { FileLayer } from './file-layer.js';
import { FsChunks } from './fs-chunks.js';
import { SealedChunks } from './sealed-chunks.js';
import type { Keyring } from './sealed-chunks.js';
import type { StorageEvent, StorageStatus } from './storage-event.js';
import { VerifiedChunks } from './verified-chunks.js';
import { WriteQueue } from './write-queue.js';
import type { Failures } from './write-queue.js';

export type { StorageEvent, StorageStatus } from './storage-event.js';

interface CommonOptions {
  log: Log;
  /** Chunks are encrypted with it. A plain store needs none, and one that is encrypted cannot be opened without. */
  keys?: Keyring;
  onEvent?: (event: StorageEvent) => void;
  /** How long one batch took to be on disk, and one chunk to be read and verified, milliseconds. */
  onTimed?: OnTimed;
  clock?: Clock;
}

export type OnTimed = (step: 'save' | 'load', ms: number) => void;

interface FolderOptions extends CommonOptions {
  /** Made with mode 0700 when missing. One process per folder: hold `lockFolder` around it. */
  dir: string;
  durability?: Durability;
  files?: FileLayer;
}

/** In a folder, or in a store of another kind. */
export type DurableStorageOptions = FolderOptions | (CommonOptions & { store: ChunkStore });

/**
 * automerge-repo storage over any chunk store, with what upstream's adapters lack (AUTOMERGE.md, Durability):
 * atomic, synced, batched writes; every chunk verified by itself before the repo sees it; no cache beyond what is
 * being written. A folder has the layout of upstream's NodeFS adapter, which can read it.
 *
 * **When is it on disk?** The promise of `save` resolves when its bytes are, and never before: a disk that
 * refuses is tried again for as long as it takes. So `repo.flush()` resolves with the truth, and hangs while
 * the disk is failing: give it a deadline, and look at `status()` for the reason. `save` never rejects,
 * because upstream saves in the background without a catch and a rejection there ends the process, and
 * because a rejection inside a compaction switches compaction off for good. `settled()` covers also what the
 * repo writes in the background.
 */
export class DurableStorage implements StorageAdapterInterface {
  readonly #log: Log;
  readonly #onEvent: (event: StorageEvent) => void;
  readonly #store: ChunkStore;
  readonly #chunks: VerifiedChunks;
  readonly #queue: WriteQueue<ChunkOp>;
  readonly #damage: Damage;
  readonly #clock: Clock;
  readonly #onTimed: OnTimed;
  readonly #count = { saved: 0, saveErrors: 0, recovered: 0 };
  #lastSavedAt: number | undefined;
  #opened: Promise<void> | undefined;
  #closed = false;

  constructor(options: DurableStorageOptions) {
    const clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#onEvent = options.onEvent ?? (() => {});
    this.#onTimed = options.onTimed ?? (() => {});
    this.#clock = clock;
    const store = 'store' in options ? options.store : inFolder(options, clock);
    this.#store = new SealedChunks(store, options.keys ?? {});
    this.#chunks = new VerifiedChunks(this.#store);
    this.#queue = new WriteQueue<ChunkOp>({
      clock,
      commit: (batch) => this.#commit(batch),
      same: sameOp,
      onFailure: (failures, attempt, retryMs) => this.#alarm(failures, attempt, retryMs),
      onRestored: (attempts) => {
        this.#log.info({ attempts }, 'storage writes again; all that had failed is on disk');
        this.#emit({ type: 'state:save-restored', attempts });
      },
    });
    this.#damage = new Damage({
      clock,
      log: this.#log,
      isReplaced: (key) => this.#queue.get(idOf(key)) !== undefined,
      put: (op) => (this.#closed ? undefined : this.#queue.put(idOf(op.key), op)),
      found: (event) => {
        this.#count.recovered += 1;
        this.#emit(event);
      },
    });
  }

  /**
   * Makes sure that the store can be used. Not needed, for the first use does the same; but who calls it at the
   * start hears at the start that a key is wrong or a server out of reach.
   */
  open(): Promise<void> {
    return this.#ready();
  }

  /** The value of a key; undefined when there is none, or only a bad one (which goes to quarantine). */
  async load(key: StorageKey): Promise<Uint8Array | undefined> {
    await this.#ready();
    const waiting = this.#queue.get(idOf(key));
    if (waiting) return waiting.kind === 'save' ? waiting.bytes : undefined;
    const from = this.#clock.monotonic();
    const look = await this.#chunks.look(key);
    if (look.state !== 'absent') this.#onTimed('load', this.#clock.monotonic() - from);
    if (look.state === 'good') return look.bytes;
    if (look.state === 'bad') await this.#damage.quarantine(key, look.reason, look.size);
    if (look.state === 'unreadable') this.#damage.unreadable(key, look.error);
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
   * @throws when the store itself cannot be read: an empty answer would say that nothing was ever saved.
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
        : this.#queue.failing || this.#store.isLost
          ? 'failing'
          : pending.length > 0
            ? 'writing'
            : 'idle',
      pendingWrites: pending.length,
      pendingBytes: pending.reduce((sum, op) => sum + (op.kind === 'save' ? op.bytes.length : 0), 0),
      lastSavedAt: this.#lastSavedAt,
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
    await this.#store.close();
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
      const from = this.#clock.monotonic();
      const failures = await this.#store.commit(batch);
      if (failures.size < batch.size) {
        this.#lastSavedAt = this.#clock.now();
        this.#onTimed('save', this.#clock.monotonic() - from);
      }
      for (const [id, op] of batch) if (op.kind === 'save' && !failures.has(id)) this.#count.saved += 1;
      return failures;
    } catch (error) {
      return new Map([...batch.keys()].map((id) => [id, error]));
    }
  }

  async #keys(prefix: StorageKey): Promise<StorageKey[]> {
    await this.#ready();
    const keys = new Map<string, StorageKey>();
    const addSaves = (): void => {
      for (const [id, op] of this.#queue.pending()) {
        if (!startsWith(op.key, prefix)) continue;
        if (op.kind === 'save') keys.set(id, op.key);
        else keys.delete(id);
      }
    };
    // What is written while the store is listed may be missing in the list, and waits no more afterwards.
    addSaves();
    for (const key of await this.#chunks.keys(prefix)) keys.set(idOf(key), key);
    addSaves();
    return [...keys.values()].sort(byKey);
  }

  #alarm(failures: Failures, attempt: number, retryMs: number): void {
    const [first] = failures.values();
    this.#count.saveErrors += failures.size;
    const code = errnoOf(first) ?? 'unknown';
    const fields = { code, failed: failures.size, attempt, retryMs };
    this.#log.error(
      { ...fields, error: first, place: this.#store.place },
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
    this.#opened ??= this.#store.open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }
}

function inFolder(
  { dir, log, durability = 'fsync', files = nodeFiles }: FolderOptions,
  clock: Clock,
): ChunkStore {
  return new FsChunks({ dir, log, durability, files, clock });
}

const idOf = (key: StorageKey): string => JSON.stringify(key);

function sameOp(one: ChunkOp, other: ChunkOp): boolean {
  if (one.kind !== 'save' || other.kind !== 'save') return one.kind === other.kind && one.kind === 'remove';
  return Buffer.compare(one.bytes, other.bytes) === 0;
}
