import { next as A } from '@automerge/automerge';
import {
  Repo,
  type DocHandle,
  type DocumentId,
  type PeerId,
  type StorageAdapterInterface,
} from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { passOnEveryChange } from './announce-changes.js';
import type { Counters } from './counters.js';
import { doneWithin } from './deadline.js';
import { SyncError } from './errors.js';
import type { RelayAdapter } from './relay-adapter.js';
import type { RelayCount } from './relay-stats.js';
import { onRefusedMessage, onUndeliveredDocument } from './repo-guard.js';
import { RetryingStorage } from './retrying-storage.js';

const startMs = 10_000;
const loadMs = 10_000;
// A storage whose disk fails may keep a save waiting for as long as that lasts.
const flushMs = 1_000;
const closeMs = 5_000;

/** Rejects with `storage`: a Repo on a storage that cannot be read fails where nobody can catch it. */
export async function assertReadable(storage: StorageAdapterInterface): Promise<void> {
  try {
    await storage.load(['storage-adapter-id']);
  } catch (error) {
    const message = `The relay's storage cannot be read: ${describe(error)}`;
    throw new SyncError('storage', message, { cause: error });
  }
}

interface RelayRepoOptions {
  peerId: PeerId;
  adapter: RelayAdapter;
  storage: StorageAdapterInterface;
  /** Whether a peer is told of a document of itself. */
  mayAnnounce(peer: PeerId, document: DocumentId | undefined): boolean;
  /** What this peer sent could be decoded, and not applied. */
  refused(peer: PeerId): void;
  clock: Clock;
  log: Log;
  counters: Counters<RelayCount>;
}

/** A relay's Repo with its storage: which documents are in memory, which on disk alone, and the way between the two. */
export class RelayRepo {
  readonly #repo: Repo;
  readonly #storage: RetryingStorage;

  constructor(private readonly options: RelayRepoOptions) {
    const { clock, log, counters } = options;
    this.#storage = new RetryingStorage(options.storage, clock, log, () => counters.add('storageFailures'));
    this.#repo = new Repo({
      peerId: options.peerId,
      storage: this.#storage,
      network: [options.adapter],
      shareConfig: {
        announce: (peer, document) => Promise.resolve(options.mayAnnounce(peer, document)),
        access: () => Promise.resolve(true),
      },
    });
    passOnEveryChange(this.#repo);
    onRefusedMessage(this.#repo, (sender, error) => {
      counters.add('refusedChanges');
      log.warn({ peer: sender, error: describe(error) }, 'A sync message could not be applied');
      options.refused(sender);
    });
    onUndeliveredDocument(this.#repo, (document, error) => {
      counters.add('undeliveredDocuments');
      log.info({ document, error: describe(error) }, 'A document was announced and never delivered');
    });
  }

  /** Rejects with `storage` when the storage does not answer. */
  async started(): Promise<void> {
    if (await doneWithin(this.options.clock, startMs, this.options.adapter.whenReady())) return;
    throw new SyncError('storage', `The relay's storage did not answer within ${startMs} ms.`);
  }

  get size(): number {
    return Object.keys(this.#repo.handles).length;
  }

  /** A document that is in memory and whole. */
  handle(documentId: DocumentId): DocHandle<unknown> | undefined {
    const handle = this.#repo.handles[documentId];
    return handle?.isReady() ? handle : undefined;
  }

  ready(): DocumentId[] {
    return Object.values(this.#repo.handles)
      .filter((handle) => handle.isReady())
      .map((handle) => handle.documentId);
  }

  async isStored(documentId: DocumentId): Promise<boolean> {
    for (const kind of ['snapshot', 'incremental']) {
      const chunks = await this.#storage.loadRange([documentId, kind]);
      if (chunks.some(({ data }) => data !== undefined)) return true;
    }
    return false;
  }

  /** Brings a stored document into memory. */
  async load(documentId: DocumentId): Promise<DocHandle<unknown>> {
    this.options.counters.add('documentsLoaded');
    const abort = new AbortController();
    const cancel = this.options.clock.after(loadMs, () => abort.abort());
    try {
      return await this.#repo.find(documentId, { signal: abort.signal });
    } finally {
      cancel();
    }
  }

  /** All of a document that is in memory is stored too. */
  async isSaved(documentId: DocumentId): Promise<boolean> {
    const flushed = await doneWithin(this.options.clock, flushMs, this.#repo.flush([documentId]));
    return flushed && !this.#storage.unsaved(documentId);
  }

  /**
   * Takes a document out of memory once all of it is stored, unless `isWanted` by then. Resolves to its heads, or to
   * undefined when it stays.
   */
  async unload(documentId: DocumentId, isWanted: () => boolean): Promise<string[] | undefined> {
    const handle = this.handle(documentId);
    if (!handle) return undefined;
    const heads = A.getHeads(handle.doc());
    const isSaved = await this.isSaved(documentId);
    const isSame = handle.isReady() && A.getHeads(handle.doc()).join() === heads.join();
    if (!isSaved || !isSame || isWanted()) return undefined;
    // An unloaded document is an empty one to whoever still listens: the Repo would store that, in place of all.
    handle.removeAllListeners();
    await this.#repo.removeFromCache(documentId);
    this.options.counters.add('documentsUnloaded');
    return heads;
  }

  /** Of a document that was announced and never came. False: somebody may still bring it. */
  forget(documentId: DocumentId): boolean {
    const handle = this.#repo.handles[documentId];
    if (handle && !handle.isUnavailable()) return false;
    // Without a handle: its peer had gone before its message came to the Repo.
    if (handle) this.#repo.delete(documentId);
    return true;
  }

  async close(): Promise<void> {
    const { clock, log, adapter } = this.options;
    adapter.disconnect();
    const flushed = await doneWithin(clock, closeMs, this.#repo.flush(this.ready()));
    const saved = flushed && (await doneWithin(clock, closeMs, this.#storage.close()));
    if (saved && this.#storage.waiting === 0) return;
    log.error(
      { chunks: this.#storage.waiting },
      'The storage did not take everything; replicas still have it',
    );
  }
}

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
