import { next as A } from '@automerge/automerge';
import {
  isValidDocumentId,
  Repo,
  type DocHandle,
  type DocumentId,
  type Message,
  type PeerId,
  type StorageAdapterInterface,
} from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { Counters } from './counters.js';
import { doneWithin } from './deadline.js';
import { SyncError } from './errors.js';
import { passOnEveryChange } from './announce-changes.js';
import { RelayAdapter } from './relay-adapter.js';
import type { RelayCount } from './relay-stats.js';
import { onRefusedMessage, onUndeliveredDocument } from './repo-guard.js';
import type { CheckedMessage } from './repo-message.js';
import { RetryingStorage } from './retrying-storage.js';

const startMs = 10_000;
const loadMs = 10_000;
// A storage whose disk fails may keep a save waiting for as long as that lasts.
const flushMs = 1_000;
const closeMs = 5_000;

/** One connection as its documents see it. */
export interface DocumentPeer {
  readonly peerId: PeerId;
  deliver(message: Message): void;
  /** Bytes of a message that {@link RelayDocuments.receive} took over are dealt with. */
  dealtWith(bytes: number): void;
  end(reason: 'relay-failed' | 'too-many-documents' | 'malformed'): void;
}

interface Arrived {
  peer: DocumentPeer;
  message: CheckedMessage;
}

/**
 * The documents of a relay: its Repo, and before it the gate that keeps the Repo from making a handle for
 * every id that somebody names. What is known is what storage holds or a peer has announced changes of.
 */
export class RelayDocuments {
  readonly peerId: PeerId;
  readonly #repo: Repo;
  readonly #peers = new Map<PeerId, DocumentPeer>();
  readonly #known = new Set<DocumentId>();
  /** Announced, and nothing of it arrived yet. */
  readonly #awaited = new Set<DocumentId>();
  /** Messages of documents that are being looked up in storage, in order of arrival. */
  readonly #lookups = new Map<DocumentId, Arrived[]>();
  /** Messages for the Repo, one a turn, so that ephemeral frames pass between two of them. */
  readonly #queue: Arrived[] = [];
  #draining = false;
  #closed = false;

  private constructor(
    private readonly adapter: RelayAdapter,
    private readonly storage: RetryingStorage,
    private readonly options: RelayDocumentsOptions,
  ) {
    this.peerId = options.peerId;
    this.#repo = new Repo({
      peerId: options.peerId,
      storage,
      network: [adapter],
      sharePolicy: () => Promise.resolve(true),
    });
    passOnEveryChange(this.#repo);
    onRefusedMessage(this.#repo, (sender, error) => {
      options.counters.add('refusedChanges');
      options.log.warn({ peer: sender, error: describe(error) }, 'A sync message could not be applied');
      this.#peers.get(sender)?.end('malformed');
    });
    onUndeliveredDocument(this.#repo, (document, error) => {
      options.counters.add('undeliveredDocuments');
      options.log.info({ document, error: describe(error) }, 'A document was announced and never delivered');
    });
  }

  /** Rejects with `storage` when the storage does not answer. */
  static async open(options: RelayDocumentsOptions): Promise<RelayDocuments> {
    const storage = new RetryingStorage(options.storage, options.clock, options.log, () =>
      options.counters.add('storageFailures'),
    );
    try {
      await storage.load(['storage-adapter-id']);
    } catch (error) {
      throw new SyncError('storage', `The relay's storage cannot be read: ${describe(error)}`, {
        cause: error,
      });
    }
    const adapter = new RelayAdapter((message) => documents.#peers.get(message.targetId)?.deliver(message));
    const documents = new RelayDocuments(adapter, storage, options);
    await new Promise<void>((resolve, reject) => {
      const late = options.clock.after(startMs, () =>
        reject(new SyncError('storage', `The relay's storage did not answer within ${startMs} ms.`)),
      );
      void adapter.whenReady().then(() => {
        late();
        resolve();
      });
    });
    return documents;
  }

  attach(peer: DocumentPeer): void {
    this.#peers.set(peer.peerId, peer);
    this.adapter.joined(peer.peerId);
  }

  detach(peer: DocumentPeer): void {
    if (this.#peers.get(peer.peerId) !== peer) return;
    this.#peers.delete(peer.peerId);
    this.adapter.gone(peer.peerId);
  }

  /** Takes a message over; {@link DocumentPeer.dealtWith} follows, always. */
  receive(peer: DocumentPeer, message: CheckedMessage): void {
    const arrived = { peer, message };
    const { documentId } = message;
    const before = this.#lookups.get(documentId);
    if (before) before.push(arrived);
    else if (this.#known.has(documentId)) this.#enqueue(arrived);
    else {
      this.#lookups.set(documentId, [arrived]);
      void this.#lookUp(documentId);
    }
  }

  /**
   * The heads (hex) of each document, of what is *stored*: after a crash the relay still has them. `[]` for a
   * document that it does not have. One that could not be read or stored is left out.
   */
  async heads(ids: readonly string[]): Promise<[string, string[]][]> {
    const found = await Promise.all(
      ids.map(async (id): Promise<[string, string[]] | undefined> => {
        try {
          const heads = isValidDocumentId(id) ? await this.#storedHeads(id) : [];
          return heads && [id, heads];
        } catch (error) {
          this.options.counters.add('storageFailures');
          this.options.log.error({ document: id, error: describe(error) }, 'Heads could not be determined');
          return undefined;
        }
      }),
    );
    return found.filter((entry) => entry !== undefined);
  }

  /** Documents in memory, and of these those of which nothing has arrived yet. */
  size(): { documents: number; awaited: number } {
    this.#sweep();
    return { documents: Object.keys(this.#repo.handles).length, awaited: this.#awaited.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.adapter.disconnect();
    const { clock, log } = this.options;
    const flushed = await doneWithin(clock, closeMs, this.#repo.flush(this.#ready()));
    const saved = flushed && (await doneWithin(clock, closeMs, this.storage.close()));
    if (!saved || this.storage.waiting > 0) {
      log.error(
        { chunks: this.storage.waiting },
        'The storage did not take everything; replicas still have it',
      );
    }
  }

  async #lookUp(documentId: DocumentId): Promise<void> {
    let stored: boolean;
    try {
      stored = await this.#isStored(documentId);
    } catch (error) {
      this.options.counters.add('storageFailures');
      this.options.log.error({ error: describe(error) }, 'The storage cannot say whether it has a document');
      for (const { peer, message } of this.#taken(documentId)) {
        peer.dealtWith(message.bytes);
        peer.end('relay-failed');
      }
      return;
    }
    if (stored) this.#known.add(documentId);
    for (const arrived of this.#taken(documentId)) {
      if (this.#known.has(documentId)) this.#enqueue(arrived);
      else this.#firstContact(arrived);
    }
  }

  #taken(documentId: DocumentId): Arrived[] {
    const waiting = this.#lookups.get(documentId) ?? [];
    this.#lookups.delete(documentId);
    return waiting;
  }

  /** Nobody is asked on behalf of another: whoever has a document announces it when it connects. */
  #firstContact(arrived: Arrived): void {
    const { peer, message } = arrived;
    const { documentId, type } = message;
    if (message.offersChanges) {
      if (this.#awaited.size >= this.options.maxAwaited) this.#sweep();
      if (this.#awaited.size < this.options.maxAwaited) {
        this.#awaited.add(documentId);
        this.#known.add(documentId);
        this.#enqueue(arrived);
        return;
      }
      peer.end('too-many-documents');
    } else if (type === 'sync' || type === 'request') {
      this.options.counters.add('unknownDocuments');
      peer.deliver({
        type: 'doc-unavailable',
        documentId,
        senderId: this.peerId,
        targetId: peer.peerId,
      });
    }
    peer.dealtWith(message.bytes);
  }

  #enqueue(arrived: Arrived): void {
    this.#queue.push(arrived);
    if (this.#draining) return;
    this.#draining = true;
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    const next = this.#queue.shift();
    if (!next) {
      this.#draining = false;
      return;
    }
    const { peer, message } = next;
    peer.dealtWith(message.bytes);
    if (!this.#closed && this.#peers.get(peer.peerId) === peer) {
      this.adapter.received(message.between(peer.peerId, this.peerId));
    }
    setImmediate(() => this.#drain());
  }

  async #isStored(documentId: DocumentId): Promise<boolean> {
    for (const kind of ['snapshot', 'incremental']) {
      const chunks = await this.storage.loadRange([documentId, kind]);
      if (chunks.some(({ data }) => data !== undefined)) return true;
    }
    return false;
  }

  async #storedHeads(documentId: DocumentId): Promise<string[] | undefined> {
    const handle = this.#handle(documentId) ?? (await this.#load(documentId));
    if (!handle) return [];
    const heads = A.getHeads(handle.doc());
    const stored = await doneWithin(this.options.clock, flushMs, this.#repo.flush([documentId]));
    return stored && !this.storage.unsaved(documentId) ? heads : undefined;
  }

  async #load(documentId: DocumentId): Promise<DocHandle<unknown> | undefined> {
    if (!(await this.#isStored(documentId))) return undefined;
    this.#known.add(documentId);
    const abort = new AbortController();
    const cancel = this.options.clock.after(loadMs, () => abort.abort());
    try {
      return await this.#repo.find(documentId, { signal: abort.signal });
    } finally {
      cancel();
    }
  }

  #handle(documentId: DocumentId): DocHandle<unknown> | undefined {
    const handle = this.#repo.handles[documentId];
    return handle?.isReady() ? handle : undefined;
  }

  #ready(): DocumentId[] {
    return Object.values(this.#repo.handles)
      .filter((handle) => handle.isReady())
      .map((handle) => handle.documentId);
  }

  #sweep(): void {
    for (const id of this.#awaited) if (this.#handle(id)) this.#awaited.delete(id);
  }
}

export interface RelayDocumentsOptions {
  peerId: PeerId;
  storage: StorageAdapterInterface;
  /** Documents announced and not delivered, each of which holds about 100 KB. */
  maxAwaited: number;
  clock: Clock;
  log: Log;
  counters: Counters<RelayCount>;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
