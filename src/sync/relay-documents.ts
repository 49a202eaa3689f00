import { next as A } from '@automerge/automerge';
import type { DocumentId, PeerId, StorageAdapterInterface } from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import { AwaitedDocuments } from './awaited-documents.js';
import { tryMessage } from './change-trial.js';
import type { Counters } from './counters.js';
import { DocumentMemory } from './document-memory.js';
import type { DocumentPeer } from './document-peer.js';
import { DocumentQueue, type Arrived } from './document-queue.js';
import { withoutUnknownHeads } from './read-only.js';
import { RelayAdapter } from './relay-adapter.js';
import { assertReadable, describe, RelayRepo } from './relay-repo.js';
import type { RelayCount } from './relay-stats.js';
import type { CheckedMessage } from './repo-message.js';
import { storedHeads } from './stored-heads.js';
import { ViewerWishes } from './viewer-wishes.js';

/**
 * The documents of a relay: its Repo, and before it the gate that keeps the Repo from making a handle for
 * every id that somebody names. What is known is what storage holds or a peer has announced changes of.
 */
export class RelayDocuments {
  readonly peerId: PeerId;
  readonly #repo: RelayRepo;
  readonly #peers = new Map<PeerId, DocumentPeer>();
  readonly #known = new Set<DocumentId>();
  readonly #awaited: AwaitedDocuments<DocumentPeer>;
  readonly #wishes = new ViewerWishes();
  readonly #memory: DocumentMemory;
  readonly #stopSweeping: Cancel;
  /** Messages of documents that are being looked up in storage, in order of arrival. */
  readonly #lookups = new Map<DocumentId, Arrived[]>();
  readonly #queue = new DocumentQueue((arrived) => this.#toRepo(arrived));
  #closed = false;

  private constructor(
    private readonly adapter: RelayAdapter,
    private readonly options: RelayDocumentsOptions,
  ) {
    const { peerId, storage, clock, log, counters, idleMs, maxAwaited } = options;
    this.peerId = peerId;
    this.#memory = new DocumentMemory(clock, idleMs);
    this.#repo = new RelayRepo({
      peerId,
      adapter,
      storage,
      mayAnnounce: (peer, document) =>
        !this.#peers.get(peer)?.readsOnly || document === undefined || this.#wishes.has(peer, document),
      refused: (peer) => this.#peers.get(peer)?.end('malformed'),
      clock,
      log,
      counters,
    });
    this.#awaited = new AwaitedDocuments({
      most: maxAwaited,
      clock,
      hasArrived: (id) => this.#repo.handle(id) !== undefined,
      forget: (id) => this.#repo.forget(id) && (this.#known.delete(id), true),
    });
    this.#stopSweeping = clock.every(Math.min(2_000, idleMs / 2), () => this.#sweep());
  }

  /** Rejects with `storage` when the storage does not answer. */
  static async open(options: RelayDocumentsOptions): Promise<RelayDocuments> {
    await assertReadable(options.storage);
    const adapter = new RelayAdapter((message) => documents.#peers.get(message.targetId)?.deliver(message));
    const documents = new RelayDocuments(adapter, options);
    try {
      await documents.#repo.started();
    } catch (error) {
      documents.#stopSweeping();
      throw error;
    }
    return documents;
  }

  attach(peer: DocumentPeer): void {
    this.#peers.set(peer.peerId, peer);
    this.adapter.joined(peer.peerId);
  }

  detach(peer: DocumentPeer): void {
    if (this.#peers.get(peer.peerId) !== peer) return;
    this.#peers.delete(peer.peerId);
    this.#wishes.left(peer.peerId);
    this.#awaited.left(peer);
    this.#memory.peerLeft();
    this.adapter.gone(peer.peerId);
  }

  /** Takes a message over; {@link DocumentPeer.dealtWith} follows, always. */
  receive(peer: DocumentPeer, message: CheckedMessage): void {
    const arrived = { peer, message };
    const { documentId } = message;
    if (this.#peers.get(peer.peerId) !== peer) return peer.dealtWith(message.bytes);
    if (peer.readsOnly && !this.#wishes.add(peer.peerId, documentId)) {
      peer.end('too-many-documents');
      return peer.dealtWith(message.bytes);
    }
    const before = this.#lookups.get(documentId);
    const lacksDocument = needsDocument(arrived) && !this.#repo.handle(documentId);
    if (before) before.push(arrived);
    else if (this.#known.has(documentId) && !lacksDocument) this.#enqueue(arrived);
    else {
      this.#lookups.set(documentId, [arrived]);
      void this.#lookUp(documentId);
    }
  }

  /** See {@link storedHeads}. */
  heads(ids: readonly string[]): Promise<[string, string[]][]> {
    const { log, counters } = this.options;
    const load = (id: DocumentId) => this.#load(id);
    return storedHeads(ids, { repo: this.#repo, memory: this.#memory, load, log, counters });
  }

  /** Documents in memory, and of these those of which nothing has arrived yet. */
  size(): { documents: number; awaited: number } {
    this.#awaited.noteArrivals();
    return { documents: this.#repo.size, awaited: this.#awaited.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopSweeping();
    await this.#repo.close();
  }

  async #lookUp(documentId: DocumentId): Promise<void> {
    let stored: boolean;
    try {
      stored = await this.#repo.isStored(documentId);
      if (stored && this.#lookups.get(documentId)?.some(needsDocument)) await this.#load(documentId);
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
      const isHere = arrived.peer.readsOnly
        ? this.#repo.handle(documentId) !== undefined
        : this.#known.has(documentId);
      if (isHere) this.#enqueue(arrived);
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
    if (this.#peers.get(peer.peerId) !== peer) return peer.dealtWith(message.bytes);
    if (message.offersChanges && !peer.readsOnly) {
      if (this.#awaited.add(documentId, peer)) {
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
    this.#memory.used(arrived.message.documentId);
    this.#queue.push(arrived);
  }

  #toRepo({ peer, message }: Arrived): void {
    if (this.#closed || this.#peers.get(peer.peerId) !== peer) return;
    const handle = this.#repo.handle(message.documentId);
    if (!peer.readsOnly) {
      if (!this.#canBeApplied(peer, message)) return;
      return this.adapter.received(message.between(peer.peerId, this.peerId));
    }
    if (!handle || !message.data) return;
    const data = withoutUnknownHeads(message.data, handle.doc());
    this.adapter.received(message.between(peer.peerId, this.peerId, data));
  }

  /** False: its sender is ended. */
  #canBeApplied(peer: DocumentPeer, { documentId, writes, data }: CheckedMessage): boolean {
    if (!writes || !data) return true;
    try {
      tryMessage(this.#repo.handle(documentId)?.doc() ?? A.init(), data);
      return true;
    } catch (error) {
      this.options.counters.add('refusedChanges');
      this.options.log.warn({ peer: peer.peerId, error: describe(error) }, 'Changes could not be applied');
      peer.end('malformed');
      return false;
    }
  }

  async #load(documentId: DocumentId): Promise<void> {
    this.#known.add(documentId);
    this.#memory.used(documentId);
    await this.#repo.load(documentId);
  }

  #sweep(): void {
    this.#awaited.sweep();
    for (const id of this.#repo.ready()) if (this.#memory.isIdle(id)) void this.#unload(id);
  }

  /** What arrives for a document while it is being taken out of memory waits, and keeps it there. */
  async #unload(documentId: DocumentId): Promise<void> {
    if (this.#queue.has(documentId) || this.#lookups.has(documentId) || this.#closed) return;
    this.#lookups.set(documentId, []);
    const isWanted = () => this.#lookups.get(documentId)?.length !== 0 || this.#closed;
    try {
      const heads = await this.#repo.unload(documentId, isWanted);
      if (heads) this.#memory.unloaded(documentId, heads);
    } catch (error) {
      this.options.counters.add('storageFailures');
      this.options.log.error(
        { document: documentId, error: describe(error) },
        'A document could not be unloaded',
      );
    } finally {
      for (const arrived of this.#taken(documentId)) this.receive(arrived.peer, arrived.message);
    }
  }
}

/** A viewer's message is looked at beside the document, changes are tried on a copy of it; all else the Repo loads. */
function needsDocument({ peer, message }: Arrived): boolean {
  return peer.readsOnly || (message.writes && message.data !== undefined);
}

export interface RelayDocumentsOptions {
  peerId: PeerId;
  storage: StorageAdapterInterface;
  /** Documents announced and not delivered, each of which holds about 100 KB. */
  maxAwaited: number;
  /** Milliseconds without a message after which a document is on disk alone. */
  idleMs: number;
  clock: Clock;
  log: Log;
  counters: Counters<RelayCount>;
}
