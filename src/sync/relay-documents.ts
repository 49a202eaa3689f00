import { next as A } from '@automerge/automerge';
import {
  isValidDocumentId,
  type DocumentId,
  type Message,
  type PeerId,
  type StorageAdapterInterface,
} from '@automerge/automerge-repo';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { Counters } from './counters.js';
import { DocumentMemory } from './document-memory.js';
import { withoutUnknownHeads } from './read-only.js';
import { RelayAdapter } from './relay-adapter.js';
import { assertReadable, describe, RelayRepo } from './relay-repo.js';
import type { RelayCount } from './relay-stats.js';
import type { CheckedMessage } from './repo-message.js';

/** What was announced, was never delivered, and nobody says any longer to have, is forgotten after so long. */
const awaitedMs = 120_000;
const headsAtOnce = 64;
const mostWishes = 4_096;

/** One connection as its documents see it. */
export interface DocumentPeer {
  readonly peerId: PeerId;
  /** Nothing that it sends may change a document; it is told of those that it asks for. */
  readonly readsOnly: boolean;
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
  readonly #repo: RelayRepo;
  readonly #peers = new Map<PeerId, DocumentPeer>();
  readonly #known = new Set<DocumentId>();
  /** Announced, and nothing of it arrived yet; since when. */
  readonly #awaited = new Map<DocumentId, number>();
  /** What a peer that only reads has asked for. */
  readonly #wishes = new Map<PeerId, Set<DocumentId>>();
  readonly #memory: DocumentMemory;
  readonly #stopSweeping: Cancel;
  /** Messages of documents that are being looked up in storage, in order of arrival. */
  readonly #lookups = new Map<DocumentId, Arrived[]>();
  /** Messages for the Repo, one a turn, so that ephemeral frames pass between two of them. */
  readonly #queue: Arrived[] = [];
  #draining = false;
  #closed = false;

  private constructor(
    private readonly adapter: RelayAdapter,
    private readonly options: RelayDocumentsOptions,
  ) {
    const { peerId, storage, clock, log, counters, idleMs } = options;
    this.peerId = peerId;
    this.#memory = new DocumentMemory(clock, idleMs);
    this.#repo = new RelayRepo({
      peerId,
      adapter,
      storage,
      mayAnnounce: (peer, document) => this.#mayAnnounce(peer, document),
      refused: (peer) => this.#peers.get(peer)?.end('malformed'),
      clock,
      log,
      counters,
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
    this.#wishes.delete(peer.peerId);
    this.#memory.peerLeft();
    this.adapter.gone(peer.peerId);
  }

  /** Takes a message over; {@link DocumentPeer.dealtWith} follows, always. */
  receive(peer: DocumentPeer, message: CheckedMessage): void {
    const arrived = { peer, message };
    const { documentId } = message;
    if (this.#peers.get(peer.peerId) !== peer) return peer.dealtWith(message.bytes);
    if (peer.readsOnly && !this.#wishFor(peer, documentId)) return peer.dealtWith(message.bytes);
    const before = this.#lookups.get(documentId);
    // A viewer's message is looked at beside the document, a replica's by the Repo, which loads it.
    const needsDocument = peer.readsOnly && !this.#repo.handle(documentId);
    if (before) before.push(arrived);
    else if (this.#known.has(documentId) && !needsDocument) this.#enqueue(arrived);
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
    const found: [string, string[]][] = [];
    for (let from = 0; from < ids.length; from += headsAtOnce) {
      const some = await Promise.all(ids.slice(from, from + headsAtOnce).map((id) => this.#headsOf(id)));
      found.push(...some.filter((entry) => entry !== undefined));
    }
    return found;
  }

  async #headsOf(id: string): Promise<[string, string[]] | undefined> {
    try {
      const heads = isValidDocumentId(id) ? await this.#storedHeads(id) : [];
      return heads && [id, heads];
    } catch (error) {
      this.options.counters.add('storageFailures');
      this.options.log.error({ document: id, error: describe(error) }, 'Heads could not be determined');
      return undefined;
    }
  }

  /** Documents in memory, and of these those of which nothing has arrived yet. */
  size(): { documents: number; awaited: number } {
    this.#noteArrivals();
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
      if (stored && this.#lookups.get(documentId)?.some(({ peer }) => peer.readsOnly)) {
        await this.#load(documentId);
      }
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
    if (message.offersChanges && !peer.readsOnly) {
      if (this.#awaited.size >= this.options.maxAwaited) this.#noteArrivals();
      if (this.#awaited.size < this.options.maxAwaited) {
        this.#awaited.set(documentId, this.options.clock.monotonic());
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

  #mayAnnounce(peerId: PeerId, documentId: DocumentId | undefined): boolean {
    const wishes = this.#wishes.get(peerId);
    return (
      !this.#peers.get(peerId)?.readsOnly || documentId === undefined || wishes?.has(documentId) === true
    );
  }

  /** False: it asks for more than a cluster can have. */
  #wishFor(peer: DocumentPeer, documentId: DocumentId): boolean {
    const wishes = this.#wishes.get(peer.peerId) ?? new Set();
    if (wishes.size >= mostWishes && !wishes.has(documentId)) {
      peer.end('too-many-documents');
      return false;
    }
    this.#wishes.set(peer.peerId, wishes.add(documentId));
    return true;
  }

  #enqueue(arrived: Arrived): void {
    this.#memory.used(arrived.message.documentId);
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
    if (!this.#closed && this.#peers.get(peer.peerId) === peer) this.#toRepo(next);
    setImmediate(() => this.#drain());
  }

  #toRepo({ peer, message }: Arrived): void {
    if (!peer.readsOnly) return this.adapter.received(message.between(peer.peerId, this.peerId));
    const handle = this.#repo.handle(message.documentId);
    if (!handle || !message.data) return;
    const data = withoutUnknownHeads(message.data, handle.doc());
    this.adapter.received(message.between(peer.peerId, this.peerId, data));
  }

  async #storedHeads(documentId: DocumentId): Promise<string[] | undefined> {
    const unloaded = this.#memory.headsOfUnloaded(documentId);
    if (unloaded) return unloaded;
    if (!this.#repo.handle(documentId)) {
      if (!(await this.#repo.isStored(documentId))) return [];
      await this.#load(documentId);
    }
    const heads = A.getHeads(this.#repo.handle(documentId)?.doc() ?? A.init());
    return (await this.#repo.isSaved(documentId)) ? heads : undefined;
  }

  async #load(documentId: DocumentId): Promise<void> {
    this.#known.add(documentId);
    this.#memory.used(documentId);
    await this.#repo.load(documentId);
  }

  #noteArrivals(): void {
    for (const id of this.#awaited.keys()) if (this.#repo.handle(id)) this.#awaited.delete(id);
  }

  #sweep(): void {
    this.#noteArrivals();
    const now = this.options.clock.monotonic();
    for (const [id, since] of this.#awaited) if (now - since > awaitedMs) this.#forget(id);
    for (const id of this.#repo.ready()) if (this.#memory.isIdle(id)) void this.#unload(id);
  }

  #forget(documentId: DocumentId): void {
    if (!this.#repo.forget(documentId)) return;
    this.#awaited.delete(documentId);
    this.#known.delete(documentId);
  }

  /** What arrives for a document while it is being taken out of memory waits, and keeps it there. */
  async #unload(documentId: DocumentId): Promise<void> {
    const isQueued = this.#queue.some(({ message }) => message.documentId === documentId);
    if (isQueued || this.#lookups.has(documentId) || this.#closed) return;
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
