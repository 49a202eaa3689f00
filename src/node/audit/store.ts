import * as A from '@automerge/automerge';
import {
  auditBytes,
  auditName,
  auditParts,
  readAuditPart,
  type Archived,
  type AuditPart,
} from '../../documents/audit-document.js';
import type { Document } from '../../documents/document.js';
import { describeDocument, type DocumentName } from '../../documents/ids.js';
import type { DurableStorage } from '../../storage/durable.js';
import type { Log } from '../../telemetry/log.js';
import { NodeError } from '../errors.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import type { RelayWord } from '../relay-word.js';

/** How long a relay may take to store an archive, milliseconds. */
const STORE_MS = 30_000;
/** How long a relay is asked for an archive that is not on this disk, milliseconds. */
const FETCH_MS = 10_000;

export interface AuditStoreContext {
  documents: OpenDocuments;
  storage: Pick<DurableStorage, 'loadRange'>;
  word: Pick<RelayWord, 'acknowledged' | 'caughtUp'>;
  /** This node is to have relays: what is archived counts when one of them has stored it. */
  hasRelays: boolean;
  log: Log;
}

/**
 * The audit documents (DESIGN §3): one archive for each generation that was cut off, in parts. Written once, never
 * changed, and held open only while they are written or fetched.
 */
export class AuditStore {
  readonly #fetching = new Map<string, Promise<AuditPart | undefined>>();
  /** By archive, the last that holds documents of it: who comes next would find them half written, or closed. */
  readonly #holding = new Map<string, Promise<unknown>>();
  readonly #ended = new AbortController();

  constructor(private readonly context: AuditStoreContext) {}

  /**
   * Writes an archive. Resolves when it is on this disk and, where there are relays, one of them has stored it. The
   * same again changes nothing.
   *
   * @throws {NodeError} `unarchived`: no relay has stored it in time.
   */
  write(archived: Archived, lines: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.#inTurn(archived, () => this.#write(archived, lines, signal));
  }

  async #write(archived: Archived, lines: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const { documents, word, hasRelays } = this.context;
    const parts = auditParts(lines);
    const opened: OpenDocument[] = [];
    try {
      for (const [part, texts] of parts.entries()) {
        signal?.throwIfAborted();
        const document = await documents.open(
          auditName(archived, part),
          auditBytes(archived, part, parts.length, texts),
        );
        opened.push(document);
        await documents.saver.flush(document.id);
      }
      if (hasRelays && !(await word.acknowledged(() => opened, { deadlineMs: STORE_MS, signal }))) {
        throw new NodeError(
          'unarchived',
          `no relay has stored the history of ${nameOf(archived)} within ${STORE_MS / 1000} s`,
        );
      }
    } finally {
      for (const document of opened) await documents.close(document);
    }
  }

  /** The lines of an archive, from this disk or through a relay; undefined when neither has all of it. */
  async read(archived: Archived): Promise<string[] | undefined> {
    const first = await this.#part(archived, 0);
    if (first === undefined) return undefined;
    const lines = [...first.lines];
    for (let part = 1; part < first.parts; part += 1) {
      const next = await this.#part(archived, part);
      if (next === undefined) return undefined;
      for (const text of next.lines) lines.push(text);
    }
    return lines;
  }

  /** Ends the fetches that are under way, which reject then. */
  close(): void {
    this.#ended.abort(new NodeError('closed', 'the node is closed'));
  }

  async #inTurn<T>(archived: Archived, work: () => Promise<T>): Promise<T> {
    const key = describeDocument(auditName(archived, 0));
    const before = this.#holding.get(key);
    // Whoever was before tells its own caller how it ended.
    const mine = before === undefined ? work() : before.then(work, work);
    this.#holding.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#holding.get(key) === mine) this.#holding.delete(key);
    }
  }

  async #part(archived: Archived, part: number): Promise<AuditPart | undefined> {
    const name = auditName(archived, part);
    const stored = this.#fitting(await this.#fromDisk(name), archived, part);
    if (stored !== undefined) return stored;
    const key = describeDocument(name);
    let fetching = this.#fetching.get(key);
    if (fetching === undefined) {
      fetching = this.#inTurn(archived, () => this.#fetch(name)).finally(() => this.#fetching.delete(key));
      this.#fetching.set(key, fetching);
    }
    return this.#fitting(await fetching, archived, part);
  }

  /** A peer may have put anything into a document of that name. */
  #fitting(found: AuditPart | undefined, archived: Archived, part: number): AuditPart | undefined {
    if (found === undefined) return undefined;
    const { index, generation } = archived;
    if (found.index === index && found.generation === generation && found.part === part) return found;
    this.context.log.warn(
      { audit: nameOf(archived), part },
      'an audit document does not say what its name does',
    );
    return undefined;
  }

  /** Without the Repo: nothing is to be shared by reading. */
  async #fromDisk(name: DocumentName): Promise<AuditPart | undefined> {
    const { documents, storage, log } = this.context;
    const chunks = await storage.loadRange([documents.idOf(name)]);
    let document: Document = A.init<Record<string, unknown>>();
    try {
      for (const { data } of chunks) {
        if (data !== undefined) document = A.loadIncremental(document, data);
      }
      return readAuditPart(document);
    } catch (error) {
      log.error({ err: error, document: describeDocument(name) }, 'an audit document on disk cannot be read');
      return undefined;
    } finally {
      A.free(document);
    }
  }

  /** Opens it, so that backups are looked at and the Repo asks the relays, and keeps what comes on this disk. */
  async #fetch(name: DocumentName): Promise<AuditPart | undefined> {
    const { documents, word, hasRelays } = this.context;
    const document = await documents.open(name);
    try {
      let part = readAuditPart(document.handle.doc());
      if (part === undefined && hasRelays) {
        await word.caughtUp([document], { deadlineMs: FETCH_MS, signal: this.#ended.signal });
        part = readAuditPart(document.handle.doc());
      }
      if (part !== undefined) await documents.saver.flush(document.id);
      return part;
    } finally {
      await documents.close(document);
    }
  }
}

const nameOf = ({ index, generation }: Archived): string => `actors/${index}, generation ${generation}`;
