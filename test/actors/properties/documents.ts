import * as A from '@automerge/automerge';
import type { DocumentId, StorageAdapterInterface } from '@automerge/automerge-repo';
import { type Document, type Touched, touchedRecords } from '../../../src/documents/document.js';
import { genesisBytes } from '../../../src/documents/genesis.js';
import { describeDocument, documentId, type DocumentName } from '../../../src/documents/ids.js';
import type { OpenDocument, OpenDocuments } from '../../../src/node/open-documents.js';
import { Saver } from '../../../src/node/saver.js';
import type { Log } from '../../../src/telemetry/log.js';
import type { Clock } from '../../../src/time/clock.js';

const CLUSTER_ID = 'schedules';

type Surface = Pick<
  OpenDocuments,
  'saver' | 'idOf' | 'open' | 'get' | 'named' | 'all' | 'change' | 'apply' | 'close'
>;

interface Opened {
  readonly document: OpenDocument;
  now: Document;
}

export interface DocumentsOptions {
  storage: StorageAdapterInterface;
  clock: Clock;
  log: Log;
  onTouched(document: OpenDocument, touched: Touched[]): void;
}

/**
 * What `OpenDocuments` is to its callers, saved by the real Saver, without a Repo: that one costs as much as all else
 * in a schedule together, and has real timers.
 */
export class Documents implements Surface {
  readonly saver: Saver;
  readonly #open = new Map<string, Opened>();
  readonly #ids = new Map<string, DocumentId>();

  constructor(private readonly options: DocumentsOptions) {
    this.saver = new Saver(options.storage, options.clock, options.log);
  }

  /** Its callers ask for the class itself. */
  get surface(): OpenDocuments {
    return this satisfies Surface as unknown as OpenDocuments;
  }

  idOf(name: DocumentName): DocumentId {
    const text = describeDocument(name);
    const known = ids.get(text) ?? documentId(CLUSTER_ID, name);
    ids.set(text, known);
    return known;
  }

  async open(
    name: DocumentName,
    first = name.generation === 0 ? firstOf(name) : undefined,
  ): Promise<OpenDocument> {
    const id = this.idOf(name);
    const chunks = await this.saver.load(id);
    const open = this.#open.get(id);
    if (open !== undefined) return open.document;
    let now = A.init<Record<string, unknown>>();
    for (const chunk of chunks) now = A.loadIncremental(now, chunk);
    if (first !== undefined && !A.hasHeads(now, [hashOf(first)])) now = A.loadIncremental(now, first);
    const document = { id, name, handle: { doc: () => opened.now } } as unknown as OpenDocument;
    const opened: Opened = { document, now };
    this.#open.set(id, opened);
    this.#ids.set(describeDocument(name), id);
    this.saver.opened(id, () => opened.now, chunks.length > 0 ? A.getHeads(now) : []);
    return document;
  }

  get(id: string): OpenDocument | undefined {
    return this.#open.get(id)?.document;
  }

  named(name: DocumentName): OpenDocument | undefined {
    return this.get(this.#ids.get(describeDocument(name)) ?? '');
  }

  *all(): Iterable<OpenDocument> {
    for (const { document } of this.#open.values()) yield document;
  }

  change(
    document: OpenDocument,
    message: string,
    touched: Touched[],
    edit: (draft: Record<string, unknown>) => void,
  ): Uint8Array {
    const opened = this.#opened(document);
    const time = Math.floor(this.options.clock.now() / 1000);
    opened.now = A.change(opened.now, { message, time }, edit);
    const bytes = A.getLastLocalChange(opened.now);
    if (bytes === undefined) throw new Error('a change left no bytes');
    this.options.onTouched(document, touched);
    return bytes;
  }

  apply(document: OpenDocument, change: Uint8Array): void {
    this.applyAll(document, [change]);
  }

  applyAll(document: OpenDocument, changes: readonly Uint8Array[]): void {
    const opened = this.#opened(document);
    const before = A.getHeads(opened.now);
    [opened.now] = A.applyChanges(opened.now, [...changes]);
    const since = A.getChangesSince(opened.now, before);
    if (since.length === 0) return;
    this.saver.flushLater(document.id);
    this.options.onTouched(document, touchedRecords(document.name.kind, since));
  }

  async close(document: OpenDocument): Promise<void> {
    if (!this.#open.delete(document.id)) return;
    await this.saver.close(document.id);
  }

  #opened({ id }: OpenDocument): Opened {
    const opened = this.#open.get(id);
    if (opened === undefined) throw new Error(`document ${id} is not open`);
    return opened;
  }
}

const ids = new Map<string, DocumentId>();
const firsts = new Map<string, Uint8Array>();

function firstOf(name: DocumentName): Uint8Array {
  const text = describeDocument(name);
  const known = firsts.get(text) ?? genesisBytes(name);
  firsts.set(text, known);
  return known;
}

const hashes = new WeakMap<Uint8Array, string>();
function hashOf(change: Uint8Array): string {
  const known = hashes.get(change) ?? A.decodeChange(change).hash;
  hashes.set(change, known);
  return known;
}
