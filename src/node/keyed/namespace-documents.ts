import { encodeChangeMessage } from '../../documents/change-message.js';
import { assertWritable, keysOf, putRecord, readRecord } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { describeDocument } from '../../documents/ids.js';
import type { FieldMap } from '../../documents/record.js';
import type { KeyedCounters } from '../../keyed/counters.js';
import type { WindowRows } from '../../keyed/window-rows.js';
import type { Windows } from '../../keyed/windows.js';
import type { Log } from '../../telemetry/log.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import type { KnownWindows } from './window-file.js';

export interface NamespaceDocumentsContext {
  windows: Windows;
  documents: OpenDocuments;
  known: KnownWindows;
  replica: string;
  /** The highest that this software knows. */
  schema: number;
  epoch(): number;
  /** Sends a change of ours to the other replicas. */
  sent(document: OpenDocument, bytes: Uint8Array): void;
  opened(window: number): void;
  closed(window: number): void;
  /** A document that was let go is closed now. */
  letGo(): void;
  counters: KeyedCounters;
  count: CountMalformed;
  log: Log;
}

/** The documents of one persistent namespace: those of its open windows are open, and no others. */
export class NamespaceDocuments implements WindowRows {
  readonly #open = new Map<number, OpenDocument>();
  /** Being closed: what is pending is on its way to the disk. */
  readonly #lettingGo = new Set<string>();
  /** Documents whose last flush failed. */
  readonly #unflushed = new Set<OpenDocument>();
  #tending: Promise<boolean> = Promise.resolve(true);
  #writing = false;
  #closed = false;

  constructor(private readonly context: NamespaceDocumentsContext) {}

  isOpen(window: number): boolean {
    return this.#open.has(window);
  }

  keys(window: number): Iterable<string> {
    const document = this.#open.get(window);
    return document === undefined ? [] : keysOf(document.handle.doc(), 'keyed', this.context.count);
  }

  read(window: number, recordKey: string): FieldMap | undefined {
    const document = this.#open.get(window);
    return document && readRecord(document.handle.doc(), 'keyed', recordKey, this.context.count);
  }

  write(window: number, recordKey: string, record: FieldMap): void {
    const { documents, windows, replica } = this.context;
    const document = this.#open.get(window);
    if (document === undefined) throw new Error(`window ${window} of ${windows.namespace} is not open`);
    assertWritable(document.handle.doc(), 'keyed', describeDocument(document.name), this.context.schema);
    const message = encodeChangeMessage({
      cause: `keyed:${windows.namespace}`,
      replica,
      epoch: this.context.epoch(),
    });
    this.#writing = true;
    try {
      const bytes = documents.change(document, message, [{ kind: 'keyed', key: recordKey }], (draft) =>
        putRecord(draft, 'keyed', recordKey, record),
      );
      this.context.sent(document, bytes);
    } finally {
      this.#writing = false;
    }
    void this.#flush(document);
  }

  /** The window that a document of this namespace is; undefined for others, and for what is being written here. */
  changed(document: OpenDocument): number | undefined {
    const { index } = document.name;
    return !this.#writing && this.#open.get(index)?.id === document.id ? index : undefined;
  }

  /** Whether it is open here, or still being closed: not to be taken from the disk. */
  holds(id: string): boolean {
    return this.#lettingGo.has(id) || [...this.#open.values()].some((document) => document.id === id);
  }

  /**
   * Opens the windows that have come and lets go of those that are over. False when something failed: call it again
   * soon. What waits for the disk is not waited for: a disk that fails keeps no window from opening.
   */
  tend(now: number): Promise<boolean> {
    this.#tending = this.#tending.then(() => this.#tend(now));
    return this.#tending;
  }

  /** True once all that stands in the open documents now is on disk. */
  async flush(): Promise<boolean> {
    const flushed = await Promise.all([...this.#open.values()].map((document) => this.#flush(document)));
    return flushed.every((done) => done);
  }

  /** Opens and closes nothing more: the node closes, and its documents with it. */
  stop(): void {
    this.#closed = true;
  }

  /** Lets go of all documents; they stay on disk. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#tending;
    await Promise.all([...this.#open.keys()].map((window) => this.#letGo(window)));
  }

  async #tend(now: number): Promise<boolean> {
    if (this.#closed) return true;
    const { windows } = this.context;
    for (const window of [...this.#open.keys()]) {
      if (now >= windows.overAt(window)) void this.#letGo(window);
    }
    for (const document of this.#unflushed) void this.#flush(document);
    return this.#openAll(windows.openAt(now).filter((window) => !this.#open.has(window)));
  }

  async #openAll(due: readonly number[]): Promise<boolean> {
    const { windows, documents, known } = this.context;
    if (due.length === 0) return true;
    const named = due.map((window) => ({
      id: documents.idOf(windows.documentOf(window)),
      overAt: windows.overAt(window),
    }));
    try {
      await known.begin(named);
    } catch (error) {
      return this.#failed(error, 'what a keyed store keeps on disk could not be noted down');
    }
    const opened = await Promise.all(due.map((window) => this.#openOne(window)));
    return opened.every((one) => one);
  }

  async #openOne(window: number): Promise<boolean> {
    const { windows, documents } = this.context;
    if (this.#closed) return true;
    try {
      const document = await documents.open(windows.documentOf(window));
      this.#open.set(window, document);
      this.context.opened(window);
      return true;
    } catch (error) {
      return this.#failed(error, 'a document of a keyed store could not be opened', window);
    }
  }

  async #letGo(window: number): Promise<void> {
    const document = this.#open.get(window);
    if (document === undefined) return;
    this.#open.delete(window);
    this.#unflushed.delete(document);
    this.#lettingGo.add(document.id);
    if (!this.#closed) this.context.closed(window);
    try {
      await this.context.documents.close(document);
    } catch (error) {
      this.#failed(error, 'a document of a keyed store could not be closed', window);
    } finally {
      this.#lettingGo.delete(document.id);
    }
    this.context.letGo();
  }

  async #flush(document: OpenDocument): Promise<boolean> {
    try {
      await this.context.documents.saver.flush(document.id);
      this.#unflushed.delete(document);
      return true;
    } catch (error) {
      if (this.#open.get(document.name.index) === document) this.#unflushed.add(document);
      return this.#failed(error, 'a document of a keyed store could not be saved', document.name.index);
    }
  }

  #failed(error: unknown, message: string, window?: number): false {
    const { counters, log, windows } = this.context;
    counters.persistenceErrors += 1;
    log.error({ err: error, namespace: windows.namespace, ...(window !== undefined && { window }) }, message);
    return false;
  }
}
