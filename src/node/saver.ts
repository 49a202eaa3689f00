import { createHash } from 'node:crypto';
import * as A from '@automerge/automerge';
import type { DocumentId, StorageAdapterInterface, StorageKey } from '@automerge/automerge-repo';
import type { Document } from '../documents/document.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';

/** How long what came from a peer may wait to be written, milliseconds; it is at the peer as well. */
const LATER_MS = 100;
/** Below this a snapshot is rewritten rather than added to, bytes. */
const SMALL_SNAPSHOT = 1024;

type ChunkKind = 'snapshot' | 'incremental';
interface Saved {
  readonly document: () => Document;
  /** Heads of what is on disk. */
  heads: A.Heads;
  chunks: { key: StorageKey; kind: ChunkKind; size: number }[];
  running: Promise<void> | undefined;
  next: Promise<void> | undefined;
  later: Cancel | undefined;
  /** Flushes of other documents that must be done before this one is written. */
  readonly gates: Set<Promise<unknown>>;
}

/**
 * Writes documents to storage, in the layout of automerge-repo (a snapshot and increments, both named by
 * hash). The Repo itself is given no storage: it saves in the background as it likes, whereas a write that
 * spans two documents must reach the disk in order (DESIGN §3), and an acknowledgement must rest on a save
 * whose end is known.
 */
export class Saver {
  readonly #documents = new Map<DocumentId, Saved>();

  constructor(
    private readonly storage: StorageAdapterInterface,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** The chunks of a document as storage has verified them, snapshots first. Call {@link opened} next. */
  async load(id: DocumentId): Promise<Uint8Array[]> {
    const [snapshots, increments] = await Promise.all([
      this.storage.loadRange([id, 'snapshot']),
      this.storage.loadRange([id, 'incremental']),
    ]);
    const chunks = [...snapshots, ...increments].filter(({ data }) => data !== undefined);
    this.#loaded.set(
      id,
      chunks.map(({ key, data }) => ({
        key,
        kind: key[1] === 'snapshot' ? 'snapshot' : 'incremental',
        size: data?.length ?? 0,
      })),
    );
    return chunks.map(({ data }) => data as Uint8Array);
  }

  readonly #loaded = new Map<DocumentId, Saved['chunks']>();

  /** From now on the document can be flushed; `heads` are those of what {@link load} gave. */
  opened(id: DocumentId, document: () => Document, heads: A.Heads): void {
    const chunks = this.#loaded.get(id) ?? [];
    this.#loaded.delete(id);
    this.#documents.set(id, {
      document,
      heads,
      chunks,
      running: undefined,
      next: undefined,
      later: undefined,
      gates: new Set(),
    });
  }

  /** Bytes that the document takes on disk. */
  size(id: DocumentId): number {
    return this.#saved(id).chunks.reduce((sum, { size }) => sum + size, 0);
  }

  /** Writes what is pending, and forgets the document. Nothing may change in it any more. */
  async close(id: DocumentId): Promise<void> {
    await this.flush(id);
    this.#saved(id).later?.();
    this.#documents.delete(id);
  }

  /**
   * Resolves when everything that stands in the document now is on disk; hangs while the disk fails (the
   * storage keeps trying and says so). Calls that come while a write is under way share the next one.
   */
  flush(id: DocumentId): Promise<void> {
    const saved = this.#saved(id);
    saved.later?.();
    saved.later = undefined;
    if (saved.running === undefined) return this.#run(id, saved);
    saved.next ??= saved.running.then(() => {
      saved.next = undefined;
      return this.#run(id, saved);
    });
    return saved.next;
  }

  /**
   * Puts a change on disk that is not in the document yet; resolves when it is there. What it rests on is there: flush
   * first. Whoever dies now finds it in the document at the next start.
   */
  async ahead(id: DocumentId, change: Uint8Array): Promise<void> {
    const key = [id, 'incremental', sha256(change)];
    await this.storage.save(key, change);
    this.#documents.get(id)?.chunks.push({ key, kind: 'incremental', size: change.length });
  }

  /** Flushes soon, together with what else comes meanwhile. */
  flushLater(id: DocumentId): void {
    const saved = this.#saved(id);
    saved.later ??= this.clock.after(LATER_MS, () => {
      saved.later = undefined;
      this.flush(id).catch((error: unknown) => {
        this.log.error({ err: error, document: id }, 'what peers sent could not be written');
      });
    });
  }

  /** Nothing of the document is written before `earlier` is done: call it before the change it is about. */
  hold(id: DocumentId, earlier: Promise<unknown>): void {
    const { gates } = this.#saved(id);
    const gate = earlier.finally(() => gates.delete(gate));
    gates.add(gate);
    // Whoever asked for the earlier flush hears of its failure; here it only stands in the way.
    gate.catch((error: unknown) => this.log.debug({ err: error }, 'an earlier flush failed'));
  }

  /**
   * Nothing of the document is written before what holds another one back now is done: for what is copied from
   * there. Not before the other one is written, or two that copy from each other would wait for ever.
   */
  holdAs(id: DocumentId, other: DocumentId): void {
    for (const gate of this.#saved(other).gates) this.hold(id, gate);
  }

  async flushAll(): Promise<void> {
    await Promise.all([...this.#documents.keys()].map((id) => this.flush(id)));
  }

  async #run(id: DocumentId, saved: Saved): Promise<void> {
    saved.running = this.#save(id, saved).finally(() => {
      saved.running = undefined;
    });
    return saved.running;
  }

  async #save(id: DocumentId, saved: Saved): Promise<void> {
    // A change made while this waits may bring its own gate.
    while (saved.gates.size > 0) await Promise.all(saved.gates);
    const document = saved.document();
    const heads = A.getHeads(document);
    if (sameHeads(heads, saved.heads)) return;
    // While changes wait for others they rest on, the chunks that hold them stay as they are.
    const whole = A.getMissingDeps(document, []).length === 0;
    if (whole && this.#isTimeToCompact(saved)) await this.#saveSnapshot(id, saved, document, heads);
    else await this.#saveIncrement(id, saved, document, heads);
  }

  async #saveIncrement(id: DocumentId, saved: Saved, document: Document, heads: A.Heads): Promise<void> {
    const bytes = A.saveSince(document, saved.heads);
    const key = [id, 'incremental', sha256(bytes)];
    await this.storage.save(key, bytes);
    saved.chunks.push({ key, kind: 'incremental', size: bytes.length });
    saved.heads = heads;
  }

  async #saveSnapshot(id: DocumentId, saved: Saved, document: Document, heads: A.Heads): Promise<void> {
    const bytes = A.save(document);
    const key = [id, 'snapshot', sha256(heads.join(''))];
    const replaced = saved.chunks.filter((chunk) => chunk.key.join('/') !== key.join('/'));
    await this.storage.save(key, bytes);
    saved.chunks = [{ key, kind: 'snapshot', size: bytes.length }];
    saved.heads = heads;
    await Promise.all(replaced.map((chunk) => this.storage.remove(chunk.key)));
  }

  #isTimeToCompact({ heads, chunks }: Saved): boolean {
    const size = (kind: ChunkKind) =>
      chunks.reduce((sum, chunk) => sum + (chunk.kind === kind ? chunk.size : 0), 0);
    return heads.length === 0 || size('snapshot') < SMALL_SNAPSHOT || size('incremental') >= size('snapshot');
  }

  #saved(id: DocumentId): Saved {
    const saved = this.#documents.get(id);
    if (saved === undefined) throw new Error(`document ${id} is not open`);
    return saved;
  }
}

export function sameHeads(a: A.Heads, b: A.Heads): boolean {
  return a.length === b.length && a.every((head) => b.includes(head));
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}
