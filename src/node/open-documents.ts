import * as A from '@automerge/automerge';
import type {
  DocHandle,
  DocumentId,
  NetworkAdapter,
  PeerId,
  StorageAdapterInterface,
} from '@automerge/automerge-repo';
import { Repo } from '@automerge/automerge-repo';
import { touchedRecords, type Document, type Touched } from '../documents/document.js';
import { genesisBytes } from '../documents/genesis.js';
import { describeDocument, documentId, type DocumentName } from '../documents/ids.js';
import { OpenedAgain } from '../sync/opened-again.js';
import { onRefusedMessage, onUndeliveredDocument } from '../sync/repo-guard.js';
import type { Log } from '../telemetry/log.js';
import { sleep, type Clock } from '../time/clock.js';
import { Saver, sameHeads } from './saver.js';

/** The Repo sends a change up to 100 ms later, and complains where the document is gone by then, milliseconds. */
const QUIET_MS = 250;

export interface OpenDocument {
  readonly id: DocumentId;
  readonly name: DocumentName;
  readonly handle: DocHandle<Record<string, unknown>>;
  /** What disk and backups gave, before any peer added to it. */
  readonly opened: A.Heads;
}

export interface OpenDocumentsOptions {
  clusterId: string;
  peerId: PeerId;
  storage: StorageAdapterInterface;
  clock: Clock;
  log: Log;
  /** What stands on disk of this document is not all that once stood there. */
  onIncomplete(id: DocumentId): void;
  /** What backups have of a document, before peers are asked: called with what this disk gave of it. */
  fromBackup?: (name: DocumentName, id: DocumentId, onDisk: Document | undefined) => Promise<Uint8Array[]>;
  /**
   * A document has changed, by us or by a peer, and shows it already; these records of it were touched, or none that
   * this version knows.
   */
  onTouched(document: OpenDocument, touched: Touched[]): void;
  /** What followed from a change threw: the change stands all the same. */
  onFailed(): void;
  /** Closed documents of which is remembered which peers must be told when they are opened again. */
  mostClosed?: number;
}

/** The Automerge documents this node holds, kept in sync by the Repo and on disk by the {@link Saver}. */
export class OpenDocuments {
  readonly saver: Saver;
  readonly #repo: Repo;
  readonly #openedAgain: OpenedAgain;
  readonly #open = new Map<DocumentId, OpenDocument>();
  /** By description: an id costs three hashes, and every read asks. */
  readonly #byName = new Map<string, OpenDocument>();
  readonly #closing = new Map<DocumentId, Promise<void>>();
  readonly #opening = new Map<DocumentId, Promise<OpenDocument>>();
  /** Set while a change of our own is made: what it touches is known without decoding it. */
  #own: Touched[] | undefined;

  constructor(private readonly options: OpenDocumentsOptions) {
    // A relay offers everything that it has, also generations that are closed here: the Repo would take them in again.
    const access = (_peer: PeerId, id?: DocumentId): Promise<boolean> =>
      Promise.resolve(id !== undefined && (this.#open.has(id) || this.#opening.has(id)));
    this.#repo = new Repo({ peerId: options.peerId, shareConfig: { announce: access, access } });
    this.#openedAgain = new OpenedAgain(this.#repo, options.mostClosed);
    onRefusedMessage(this.#repo, (peer, error) =>
      options.log.warn({ peer, err: error }, 'a sync message could not be applied'),
    );
    onUndeliveredDocument(this.#repo, (document, error) =>
      options.log.warn({ document, err: error }, 'a document was announced and never delivered'),
    );
    this.saver = new Saver(options.storage, options.clock, options.log);
  }

  /** Starts sync over an adapter: after what stands on disk was opened, or we would announce wrong heads. */
  connect(adapter: NetworkAdapter): void {
    this.#repo.networkSubsystem.addNetworkAdapter(adapter);
  }

  idOf(name: DocumentName): DocumentId {
    return documentId(this.options.clusterId, name);
  }

  /**
   * Opens a document: from disk, else from its first bytes; without any it is empty until a peer brings them. Those of
   * a generation above 0 are not the same for everyone who knows its name. Twice at once gives the same.
   */
  async open(
    name: DocumentName,
    first = name.generation === 0 ? genesisBytes(name) : undefined,
  ): Promise<OpenDocument> {
    const id = this.idOf(name);
    const open = this.#open.get(id);
    if (open !== undefined) return open;
    let opening = this.#opening.get(id);
    // Nothing of the earlier handle may be mixed with the new one.
    if (opening === undefined && this.#closing.has(id)) {
      await this.#closing.get(id);
      return this.open(name, first);
    }
    if (opening === undefined) {
      opening = this.#load(id, name, first).finally(() => this.#opening.delete(id));
      this.#opening.set(id, opening);
    }
    return opening;
  }

  get(id: string): OpenDocument | undefined {
    return this.#open.get(id as DocumentId);
  }

  named(name: DocumentName): OpenDocument | undefined {
    return this.#byName.get(describeDocument(name));
  }

  all(): Iterable<OpenDocument> {
    return this.#open.values();
  }

  /** Makes one change of our own; visible at once, on disk after a flush. Gives the change's bytes. */
  change(
    { handle }: OpenDocument,
    message: string,
    touched: Touched[],
    edit: (draft: Record<string, unknown>) => void,
  ): Uint8Array {
    this.#own = touched;
    try {
      const time = Math.floor(this.options.clock.now() / 1000);
      handle.update((document) => A.change(document, { message, time }, edit));
    } finally {
      this.#own = undefined;
    }
    const bytes = A.getLastLocalChange(handle.doc());
    if (bytes === undefined) throw new Error('a change left no bytes');
    return bytes;
  }

  /** Applies one change of a peer; throws what Automerge throws on garbage, the document then stays as it was. */
  apply({ handle }: OpenDocument, change: Uint8Array): void {
    handle.update((document) => A.applyChanges(document, [change])[0]);
  }

  /**
   * Lets go of a document; resolves when what was pending is on disk. From the call on nothing of it is taken in any
   * more, and the Repo forgets it when its last change has gone out.
   */
  async close(document: OpenDocument): Promise<void> {
    const { id, name, handle } = document;
    // Opened anew since, it belongs to whoever did that.
    if (this.#open.get(id) !== document) return;
    this.#open.delete(id);
    this.#byName.delete(describeDocument(name));
    const closing = this.saver.close(id);
    const forgotten = closing
      .then(() => sleep(this.options.clock, QUIET_MS))
      .then(() => this.#forget(handle))
      .catch((error: unknown) => {
        this.options.log.error(
          { err: error, document: describeDocument(name) },
          'a document was not closed cleanly',
        );
      })
      .finally(() => this.#closing.delete(id));
    this.#closing.set(id, forgotten);
    await closing;
  }

  async #forget(handle: OpenDocument['handle']): Promise<void> {
    const document = handle.doc();
    await this.#repo.removeFromCache(handle.documentId);
    this.#openedAgain.forgotten(handle.documentId);
    A.free(document);
  }

  async #load(id: DocumentId, name: DocumentName, first: Uint8Array | undefined): Promise<OpenDocument> {
    const chunks = await this.saver.load(id);
    const loaded = this.#assemble(id, name, chunks);
    const onDisk = A.getHeads(loaded);
    const backedUp = await this.options.fromBackup?.(name, id, chunks.length > 0 ? loaded : undefined);
    for (const bytes of backedUp ?? []) A.getBackend(loaded).loadIncremental(bytes);
    // Also a document from disk may lack its first change, when a chunk went to quarantine.
    if (first !== undefined && !A.hasHeads(loaded, [A.decodeChange(first).hash])) {
      A.getBackend(loaded).loadIncremental(first);
    }
    const opened = A.getHeads(loaded);
    const handle = this.#import(id, loaded);
    if (A.getMissingDeps(handle.doc(), []).length > 0) this.options.onIncomplete(id);
    this.saver.opened(id, () => handle.doc(), onDisk);
    // Its first bytes too, although everyone can make them: a document that is on no disk is one that was lost. Not those
    // of the cluster document, by which a folder is one of a cluster (PROTOCOL C5).
    const heads = A.getHeads(handle.doc());
    const isUnfounded = name.kind === 'cluster' && first !== undefined && isOnly(first, heads);
    if (!isUnfounded && !sameHeads(onDisk, heads)) this.saver.flushLater(id);
    const document: OpenDocument = { id, name, handle, opened };
    this.#open.set(id, document);
    this.#byName.set(describeDocument(name), document);
    this.#follow(document);
    return document;
  }

  #assemble(id: DocumentId, name: DocumentName, chunks: Uint8Array[]): Document {
    const document = A.init<Record<string, unknown>>();
    for (const chunk of chunks) {
      try {
        // Of the backend alone: what is loaded in pieces is not shown, and building what would be shown costs as much.
        A.getBackend(document).loadIncremental(chunk);
      } catch (error) {
        // The storage gives only chunks that can be read by themselves; what does not fit the others is left out.
        this.options.log.error(
          { err: error, document: describeDocument(name), bytes: chunk.length },
          'a stored chunk does not fit its document and was left out; peers fill the rest',
        );
        this.options.onIncomplete(id);
      }
    }
    return document;
  }

  #import(id: DocumentId, document: Document): OpenDocument['handle'] {
    const handle = this.#repo.import<Record<string, unknown>>(new Uint8Array(), { docId: id });
    // A peer may have brought something since it was asked for.
    handle.update((brought) => joined(compacted(document), brought));
    // Also one that is empty, and waits for what peers have of it.
    handle.doneLoading();
    return handle;
  }

  #follow(document: OpenDocument): void {
    const { handle, id, name } = document;
    let known = A.getHeads(handle.doc());
    let announced = true;
    handle.on('change', () => {
      announced = true;
    });
    handle.on('heads-changed', ({ doc }) => {
      const before = known;
      known = A.getHeads(doc);
      // What still comes while the Repo forgets the document is for nobody here.
      if (sameHeads(before, known) || this.#open.get(id) !== document) return;
      announced = false;
      queueMicrotask(() => {
        // The Repo syncs on `change`, which it leaves out when Automerge gives no patches: a third concurrent
        // value that does not win. Without this it would wait for the next change of the document.
        if (announced) return;
        announced = true;
        handle.emit('change', {
          handle,
          doc,
          patches: [],
          patchInfo: { before: doc, after: doc, source: 'change' },
        });
      });
      const own = this.#own;
      if (own === undefined) this.saver.flushLater(id);
      try {
        this.options.onTouched(document, own ?? touchedRecords(name.kind, A.getChangesSince(doc, before)));
      } catch (error) {
        // The handle throws it again where nobody can catch it: one record would end every replica.
        this.options.onFailed();
        this.options.log.error(
          { err: error, document: describeDocument(name) },
          'what followed from a change failed',
        );
      }
    });
  }
}

/** The first document with all that the other holds, also what waits there for changes that only the first one has. */
function joined(document: Document, brought: Document): Document {
  return A.loadIncremental(document, A.save(brought));
}

/**
 * The same document loaded anew from its own save: what was loaded in pieces holds some four times the memory
 * (20,000 rooms: 117 MB against 33 MB of wasm heap), and growing that heap is what opening spends its time on.
 */
function compacted(document: Document): Document {
  // Changes that wait for others are not in its state, and must not be lost; what is there is shown now.
  if (A.getMissingDeps(document, []).length > 0) return A.applyChanges(document, [])[0];
  const whole = A.load<Record<string, unknown>>(A.save(document));
  A.free(document);
  return whole;
}

const isOnly = (change: Uint8Array, heads: A.Heads): boolean =>
  sameHeads([A.decodeChange(change).hash], heads);
