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
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { Saver, sameHeads } from './saver.js';

export interface OpenDocument {
  readonly id: DocumentId;
  readonly name: DocumentName;
  readonly handle: DocHandle<Record<string, unknown>>;
}

export interface OpenDocumentsOptions {
  clusterId: string;
  peerId: PeerId;
  storage: StorageAdapterInterface;
  clock: Clock;
  log: Log;
  /** What stands on disk of this document is not all that once stood there. */
  onIncomplete(id: DocumentId): void;
  /** Records of a document were touched, by us or by a peer; the document shows it already. */
  onTouched(document: OpenDocument, touched: Touched[]): void;
}

/** The Automerge documents this node holds, kept in sync by the Repo and on disk by the {@link Saver}. */
export class OpenDocuments {
  readonly saver: Saver;
  readonly #repo: Repo;
  readonly #open = new Map<DocumentId, OpenDocument>();
  /** By description: an id costs three hashes, and every read asks. */
  readonly #byName = new Map<string, OpenDocument>();
  readonly #opening = new Map<DocumentId, Promise<OpenDocument>>();
  /** Set while a change of our own is made: what it touches is known without decoding it. */
  #own: Touched[] | undefined;

  constructor(private readonly options: OpenDocumentsOptions) {
    this.#repo = new Repo({ peerId: options.peerId });
    this.saver = new Saver(options.storage, options.clock, options.log);
  }

  /** Starts sync over an adapter: after what stands on disk was opened, or we would announce wrong heads. */
  connect(adapter: NetworkAdapter): void {
    this.#repo.networkSubsystem.addNetworkAdapter(adapter);
  }

  /** Opens a document: from disk, else from its first bytes. Twice at once gives the same. */
  async open(name: DocumentName): Promise<OpenDocument> {
    const id = documentId(this.options.clusterId, name);
    const open = this.#open.get(id);
    if (open !== undefined) return open;
    let opening = this.#opening.get(id);
    if (opening === undefined) {
      opening = this.#load(id, name).finally(() => this.#opening.delete(id));
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

  async #load(id: DocumentId, name: DocumentName): Promise<OpenDocument> {
    const chunks = await this.saver.load(id);
    const first = genesisBytes(name);
    const handle = this.#import(id, name, chunks.length > 0 ? chunks : [first]);
    // Also a document from disk may lack its first change, when a chunk went to quarantine.
    if (!A.hasHeads(handle.doc(), [A.decodeChange(first).hash])) {
      handle.update((document) => A.loadIncremental(document, first));
    }
    if (A.getMissingDeps(handle.doc(), []).length > 0) this.options.onIncomplete(id);
    this.saver.opened(id, () => handle.doc(), chunks.length > 0 ? A.getHeads(handle.doc()) : []);
    const document: OpenDocument = { id, name, handle };
    this.#open.set(id, document);
    this.#byName.set(describeDocument(name), document);
    this.#follow(document);
    return document;
  }

  #import(id: DocumentId, name: DocumentName, chunks: Uint8Array[]): OpenDocument['handle'] {
    let document = A.init<Record<string, unknown>>();
    for (const chunk of chunks) {
      try {
        document = A.loadIncremental(document, chunk);
      } catch (error) {
        // The storage gives only chunks that can be read by themselves; what does not fit the others is left out.
        this.options.log.error(
          { err: error, document: describeDocument(name), bytes: chunk.length },
          'a stored chunk does not fit its document and was left out; peers fill the rest',
        );
        this.options.onIncomplete(id);
      }
    }
    const handle = this.#repo.import<Record<string, unknown>>(new Uint8Array(), { docId: id });
    handle.update(() => compacted(document));
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
      if (sameHeads(before, known)) return;
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
      const touched = own ?? touchedRecords(name.kind, A.getChangesSince(doc, before));
      if (touched.length > 0) this.options.onTouched(document, touched);
    });
  }
}

/**
 * The same document loaded anew from its own save: what was loaded in pieces holds some four times the memory
 * (20,000 rooms: 117 MB against 33 MB of wasm heap), and growing that heap is what opening spends its time on.
 */
function compacted(document: Document): Document {
  // Changes that wait for others are not in its state, and must not be lost.
  if (A.getMissingDeps(document, []).length > 0) return document;
  const whole = A.load<Record<string, unknown>>(A.save(document));
  A.free(document);
  return whole;
}
