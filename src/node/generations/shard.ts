import * as A from '@automerge/automerge';
import type { Touched } from '../../documents/document.js';
import { isNewerSchema } from '../../documents/errors.js';
import { describeDocument } from '../../documents/ids.js';
import { NodeError } from '../errors.js';
import type { OpenDocument } from '../open-documents.js';
import type { Cut } from './cut.js';
import { differences } from './differences.js';
import { EarlierGenerations, type EarlierContext } from './earlier.js';
import { FirstBytes } from './first-bytes.js';
import { Gate } from './gate.js';
import { Line } from './line.js';
import { Retry } from './retry.js';
import { holds, ShardDocuments, type Generation } from './shard-documents.js';

export interface ShardContext extends EarlierContext {
  /** Replicas that must have moved before older generations may go: the members, with this one. */
  members: () => readonly string[];
  /** Says in the cut's record that this replica has moved, at these heads. Resolves when that is on disk. */
  acknowledge: (cut: Cut, heads: A.Heads) => Promise<void>;
  /** Says in the cut's record that every member has. Resolves when that is on disk. */
  settle: (cut: Cut) => Promise<void>;
  /** Another generation is the current one now, and differs from the last one in these records. */
  moved: (document: OpenDocument, touched: Touched[]) => void;
}

/**
 * The generations of one actors shard (PROTOCOL A6): which one is read and written, and when that changes. Records
 * and bytes that arrive change its inputs; {@link #evaluate} decides what follows, one evaluation at a time.
 */
export class ShardGenerations {
  #line = new Line();
  #current: Generation | undefined;
  readonly #documents: ShardDocuments;
  readonly #earlier: EarlierGenerations;
  readonly #firstBytes: FirstBytes;
  readonly #gate = new Gate();
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  readonly #retry: Retry;

  constructor(
    readonly index: number,
    private readonly context: ShardContext,
  ) {
    this.#documents = new ShardDocuments(index, context);
    this.#retry = new Retry(context.clock, () => this.schedule(true));
    this.#firstBytes = new FirstBytes(this.#documents, context);
    const standing = {
      line: () => this.#line,
      current: () => this.#current,
      isAtEnd: () => this.#isAtEnd() && !this.#closed,
    };
    this.#earlier = new EarlierGenerations(this.#documents, standing, context);
  }

  /** The generation that is read; undefined while this replica has none, because only others hold it. */
  get current(): OpenDocument | undefined {
    return this.#current?.document;
  }

  /** The cut that began it; undefined for the first generation. */
  get cut(): Cut | undefined {
    return this.#current?.cut;
  }

  /**
   * The last generation up to which nobody can bring anything any more that does not count here: its cut is settled,
   * and what the members had taken over into it by then is here. What is late keeps its stamp, so that until then
   * a base must name what it took in (docs/decisions/0007).
   */
  get settledTo(): number {
    const { document } = this.#current ?? {};
    const cut = this.#isAtEnd() ? this.#line.end : this.cut;
    if (document === undefined || cut === undefined) return 0;
    const heads = [...cut.moved.values()].flat();
    return cut.settled && A.hasHeads(document.handle.doc(), heads) ? cut.generation : cut.settledTo;
  }

  /** Resolves when the shard may be written; undefined when it may be now. */
  writable(): Promise<void> | undefined {
    return this.#gate.opened();
  }

  /** Opens what this replica has. Resolves when it stands where the records say, or must wait for others' bytes. */
  async open(cuts: Cut[]): Promise<void> {
    this.#line = new Line(cuts);
    await this.#openNewestStored();
    this.#setGate();
    await this.evaluated();
  }

  /** The cut records of the shard have changed. Writes nothing to what is no longer current from here on. */
  learn(cuts: Cut[]): void {
    this.#line = new Line(cuts);
    this.#setGate();
    this.schedule();
  }

  /** Looks again, soon. What could not be made is tried anew when `fresh`: a machine may be known by now. */
  schedule(fresh = false): void {
    if (fresh) this.#firstBytes.tryAgain();
    this.#again = true;
    // Not at once: the caller may stand in the middle of a change, which bears no other inside it.
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  /** Looks again, and resolves when nothing is left to do for now. */
  async evaluated(): Promise<void> {
    this.schedule();
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry.cancel();
    this.#gate.fail(new NodeError('closed', 'the node is closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        await this.#evaluate();
        this.#retry.succeeded();
      } catch (error) {
        // Nothing of it can be said or taken over here while the documents are of a newer release.
        if (isNewerSchema(error)) continue;
        this.context.counters.generations.failures += 1;
        this.context.log.error(
          { err: error, shard: this.index },
          'a generation could not be changed or tidied: tried again',
        );
        if (!this.#closed) this.#retry.soon();
      }
    }
    this.#running = undefined;
  }

  async #evaluate(): Promise<void> {
    if (!this.#isAtEnd()) await this.#approach();
    await this.#earlier.open();
    if (!this.#isAtEnd()) return;
    this.#earlier.drain();
    await this.#confirm();
    if (!(await this.#earlier.tidy())) this.schedule();
  }

  #isAtEnd(): boolean {
    return this.#current !== undefined && this.#current.cut?.id === this.#line.end?.id;
  }

  #setGate(): void {
    if (this.#isAtEnd()) this.#gate.open();
    else this.#gate.close();
  }

  /** What to read until the current generation is here: the newest one that stands on this disk. */
  async #openNewestStored(): Promise<void> {
    const { chain } = this.#line;
    for (const cut of [...[...chain].reverse(), undefined]) {
      if (chain.length > 0 && !this.#documents.isStored(cut)) continue;
      const document = await this.#documents.open(cut);
      if (!holds(document, cut)) continue;
      this.#current = { document, cut };
      return;
    }
  }

  /** Moves to the end of the line if its bytes are here, or can be made here; else they are asked for by being open. */
  async #approach(): Promise<void> {
    const target = this.#line.end;
    let document = await this.#documents.held(target);
    if (target !== undefined && (document === undefined || !holds(document, target))) {
      const first = await this.#firstBytes.make(target, this.#line.before(target));
      if (document !== undefined && first !== undefined) this.context.documents.apply(document, first);
      document ??= await this.#documents.open(target, first);
    }
    document ??= await this.#documents.open(target);
    // Another record may have come while this one was opened.
    if (target?.id !== this.#line.end?.id) return this.schedule();
    if (holds(document, target)) this.#move({ document, cut: target });
  }

  /** Nothing may come between its steps: a reader sees all of the shard before and after. */
  #move(next: Generation): void {
    const { counters, log, moved, documents, recorded } = this.context;
    const previous = this.#current;
    // At a start without the record nobody would look for this document.
    documents.saver.hold(next.document.id, recorded());
    this.#current = next;
    this.#earlier.moved(previous, next);
    this.#earlier.drain();
    counters.generations.moves += 1;
    log.info({ document: describeDocument(next.document.name) }, 'moved to another generation');
    this.#setGate();
    moved(
      next.document,
      differences(previous?.document.handle.doc(), next.document.handle.doc(), counters.countMalformed),
    );
  }

  /** All that is held here counts in the current generation, on disk; then it is said, and seen who else said so. */
  async #confirm(): Promise<void> {
    const { documents, replica, members, acknowledge, settle } = this.context;
    const { document, cut } = this.#current ?? {};
    if (document === undefined || cut === undefined) return;
    const heads = A.getHeads(document.handle.doc());
    await documents.saver.flush(document.id);
    const latest = this.#line.end;
    if (latest?.id !== cut.id || this.#closed) return;
    if (!latest.moved.has(replica)) await acknowledge(latest, heads);
    else if (!latest.settled && members().every((member) => latest.moved.has(member))) await settle(latest);
  }
}
