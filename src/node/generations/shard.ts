import * as A from '@automerge/automerge';
import { ActorError } from '../../actors/errors.js';
import { encodeChangeMessage } from '../../documents/change-message.js';
import {
  assertWritable,
  putRecord,
  writtenRecords,
  type Touched,
  type WrittenRecord,
} from '../../documents/document.js';
import { describeDocument } from '../../documents/ids.js';
import type { Log } from '../../telemetry/log.js';
import type { NodeCounters } from '../counters.js';
import { NodeError } from '../errors.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import { sameHeads } from '../saver.js';
import { chainOf, settledOf } from './chain.js';
import { documentOf, type Cut } from './cut.js';
import { differences } from './differences.js';
import { Gate } from './gate.js';
import { lateRecords } from './late.js';
import { nextGeneration } from './next-generation.js';
import { documentAt } from './past.js';
import type { ActorBases } from './ports.js';
import type { StoredDocuments } from './stored-documents.js';

export interface ShardContext {
  documents: OpenDocuments;
  stored: StoredDocuments;
  bases: ActorBases;
  counters: NodeCounters;
  log: Log;
  replica: string;
  epoch: () => number;
  /** Replicas that must have moved before older generations may go: the members, with this one. */
  members: () => readonly string[];
  /** Says in the cut's record that this replica has moved. Resolves when that is on disk. */
  acknowledge: (cut: Cut) => Promise<void>;
  /** Says in the cut's record that every member has. Resolves when that is on disk. */
  settle: (cut: Cut) => Promise<void>;
  /** Sends a change of ours to the other replicas. */
  sent: (document: OpenDocument, bytes: Uint8Array) => void;
  /** Another generation is the current one now, and differs from the last one in these records. */
  moved: (document: OpenDocument, touched: Touched[]) => void;
}

/** A generation of the shard that is open here; without a cut it is the first one. */
interface Generation {
  readonly document: OpenDocument;
  readonly cut: Cut | undefined;
}

/** A generation that is not the current one: what it holds and the current one lacks is taken over. */
interface Source extends Generation {
  /** What was taken over so far. */
  drained: A.Heads | undefined;
}

/**
 * The generations of one actors shard (PROTOCOL A6): which one is read and written, which others are open because
 * something may still come of them, and when they go. Records and bytes that arrive change its inputs;
 * {@link #evaluate} decides what follows, one evaluation at a time.
 */
export class ShardGenerations {
  #cuts: Cut[] = [];
  #chain: Cut[] = [];
  #current: Generation | undefined;
  readonly #sources = new Map<string, Source>();
  /** Closed after everything in them was taken over into the current generation. */
  readonly #finished = new Set<string>();
  /** Cuts whose bytes cannot be made here for now. */
  readonly #notComputed = new Set<string>();
  readonly #gate = new Gate();
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(
    readonly index: number,
    private readonly context: ShardContext,
  ) {}

  /** The generation that is read; undefined while this replica has none, because only others hold it. */
  get current(): OpenDocument | undefined {
    return this.#current?.document;
  }

  /** The cut that began it; undefined for the first generation. */
  get cut(): Cut | undefined {
    return this.#current?.cut;
  }

  /** Resolves when the shard may be written; undefined when it may be now. */
  writable(): Promise<void> | undefined {
    return this.#gate.opened();
  }

  /** Opens what this replica has. Resolves when it stands where the records say, or must wait for others' bytes. */
  async open(cuts: Cut[]): Promise<void> {
    this.#learn(cuts);
    await this.#openNewestStored();
    this.#setGate();
    await this.evaluated();
  }

  /** The cut records of the shard have changed. Writes nothing to what is no longer current from here on. */
  learn(cuts: Cut[]): void {
    this.#learn(cuts);
    this.#setGate();
    this.schedule();
  }

  #learn(cuts: Cut[]): void {
    this.#cuts = cuts;
    this.#chain = chainOf(cuts);
  }

  /** Looks again, soon. What could not be made is tried anew when `fresh`: a machine may be known by now. */
  schedule(fresh = false): void {
    if (fresh) this.#notComputed.clear();
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
    this.#gate.fail(new NodeError('closed', 'the node is closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        await this.#evaluate();
      } catch (error) {
        this.context.counters.generations.failures += 1;
        this.context.log.error(
          { err: error, shard: this.index },
          'a generation could not be changed or tidied: tried again',
        );
      }
    }
    this.#running = undefined;
  }

  async #evaluate(): Promise<void> {
    if (!this.#isAtEnd()) await this.#approach();
    await this.#openSources();
    if (!this.#isAtEnd()) return;
    this.#drain();
    await this.#confirm();
    await this.#tidy();
  }

  #isAtEnd(): boolean {
    return this.#current !== undefined && this.#current.cut?.id === this.#chain.at(-1)?.id;
  }

  #setGate(): void {
    if (this.#isAtEnd()) this.#gate.open();
    else this.#gate.close();
  }

  /** What to read until the current generation is here: the newest one that stands on this disk. */
  async #openNewestStored(): Promise<void> {
    const { documents, stored } = this.context;
    for (const cut of [...[...this.#chain].reverse(), undefined]) {
      const name = documentOf(this.index, cut);
      if (this.#chain.length > 0 && !stored.has(documents.idOf(name))) continue;
      const document = await this.#open(cut);
      if (!holds(document, cut)) continue;
      this.#current = { document, cut };
      return;
    }
  }

  /** Moves to the end of the chain if its bytes are here, or can be made here; else they are asked for by being open. */
  async #approach(): Promise<void> {
    const { documents, stored } = this.context;
    const target = this.#chain.at(-1);
    const id = documents.idOf(documentOf(this.index, target));
    let document = documents.get(id) ?? (stored.has(id) ? await this.#open(target) : undefined);
    if (target !== undefined && (document === undefined || !holds(document, target))) {
      const first = await this.#compute(target);
      if (document !== undefined && first !== undefined) documents.apply(document, first);
      document ??= await this.#open(target, first);
    }
    document ??= await this.#open(target);
    // Another record may have come while this one was opened.
    if (target?.id !== this.#chain.at(-1)?.id) return this.schedule();
    if (holds(document, target)) this.#move({ document, cut: target });
  }

  /** The bytes of a cut from what this replica holds itself; undefined when they must come from others. */
  async #compute(cut: Cut): Promise<Uint8Array | undefined> {
    if (this.#notComputed.has(cut.id)) return undefined;
    const { bases, counters, log, documents, stored } = this.context;
    const before = this.#cuts.find(({ id }) => id === cut.parent);
    const id = documents.idOf(documentOf(this.index, before));
    const parent = documents.get(id) ?? (stored.has(id) ? await this.#open(before) : undefined);
    if (parent === undefined || !A.hasHeads(parent.handle.doc(), [...cut.heads])) return undefined;
    const past = documentAt(parent.handle.doc(), cut.heads);
    try {
      const { index, generation, at } = cut;
      const bytes = nextGeneration(past.document, { index, generation, at }, bases, counters.countMalformed);
      if (A.decodeChange(bytes).hash === cut.bytesHash) return bytes;
      log.warn({ cut: cut.id, shard: index }, 'the cut gives other bytes here: taken from a peer');
    } catch (error) {
      if (!(error instanceof ActorError)) throw error;
      log.warn(
        { err: error, cut: cut.id, shard: this.index },
        'the cut cannot be made here: taken from a peer',
      );
    } finally {
      past.free();
    }
    counters.generations.notComputed += 1;
    this.#notComputed.add(cut.id);
    return undefined;
  }

  /** Nothing may come between its steps: a reader sees all of the shard before and after. */
  #move(next: Generation): void {
    const { counters, log, moved } = this.context;
    const previous = this.#current;
    if (previous !== undefined) this.#sources.set(previous.document.id, { ...previous, drained: undefined });
    this.#sources.delete(next.document.id);
    for (const source of this.#sources.values()) source.drained = undefined;
    this.#finished.clear();
    this.#current = next;
    this.#drain();
    counters.generations.moves += 1;
    log.info({ document: describeDocument(next.document.name) }, 'moved to another generation');
    this.#setGate();
    moved(
      next.document,
      differences(previous?.document.handle.doc(), next.document.handle.doc(), counters.countMalformed),
    );
  }

  /** Takes over what other generations hold and the current one lacks, in one change. */
  #drain(): void {
    const current = this.#current?.document;
    if (current === undefined) return;
    const { documents, bases, counters, replica, sent, epoch } = this.context;
    const written: WrittenRecord[] = [];
    const drained = new Map<Source, A.Heads>();
    for (const source of this.#sources.values()) {
      const document = source.document.handle.doc();
      const heads = A.getHeads(document);
      if (source.drained !== undefined && sameHeads(source.drained, heads)) continue;
      const since = source.drained ?? this.#countedHeads(source);
      const changes = since.length === 0 ? A.getAllChanges(document) : A.getChangesSince(document, since);
      written.push(...writtenRecords('actors', changes, counters.countMalformed));
      drained.set(source, heads);
    }
    const late = lateRecords(written, current.handle.doc(), bases, counters.countMalformed);
    if (late.length > 0) {
      for (const { kind } of late) assertWritable(current.handle.doc(), kind, describeDocument(current.name));
      const message = encodeChangeMessage({ cause: 'late', replica, epoch: epoch() });
      const bytes = documents.change(current, message, late, (draft) => {
        for (const { kind, key, record } of late) putRecord(draft, kind, key, record);
      });
      sent(current, bytes);
      counters.generations.late += late.length;
    }
    for (const [source, heads] of drained) {
      // What waits for a routing record to be on disk must not come there by this way before it (DESIGN §3).
      if (late.length > 0) documents.saver.hold(current.id, documents.saver.flush(source.document.id));
      source.drained = heads;
    }
  }

  /**
   * The heads of a generation on the chain that the cut after it counts; none of one that lost, nor while some of
   * them are not here: then every change is looked at, and the bases say which events count already.
   */
  #countedHeads({ document, cut }: Source): A.Heads {
    const after = this.#chain[cut === undefined ? 0 : this.#chain.findIndex(({ id }) => id === cut.id) + 1];
    const onChain = after !== undefined && after.parent === (cut?.id ?? '');
    return onChain && A.hasHeads(document.handle.doc(), [...after.heads]) ? [...after.heads] : [];
  }

  /** All that this disk holds of other generations, and what may still come of those that are not settled. */
  async #openSources(): Promise<void> {
    const { documents, stored } = this.context;
    for (const cut of [undefined, ...this.#cuts]) {
      const id = documents.idOf(documentOf(this.index, cut));
      if (id === this.#current?.document.id || this.#sources.has(id)) continue;
      // The one that is approached becomes the current one as soon as its bytes are here.
      if (cut !== undefined && cut.id === this.#chain.at(-1)?.id) continue;
      if (!this.#isAwaited(cut) && (!stored.has(id) || this.#finished.has(id))) continue;
      const document = await this.#open(cut);
      this.#sources.set(id, { document, cut, drained: undefined });
    }
  }

  /** Whether changes of it may still arrive that nobody else takes over: its successor is not settled. */
  #isAwaited(cut: Cut | undefined): boolean {
    if (this.#isSuperseded(cut)) return false;
    const id = cut?.id ?? '';
    if (this.#chain.at(-1)?.parent === id) return true;
    const lost = (one: Cut): boolean => !this.#chain.includes(one) && !this.#isSuperseded(one);
    return (cut !== undefined && lost(cut)) || this.#cuts.some((one) => one.parent === id && lost(one));
  }

  /** A settled cut has taken its place: every member has taken over what it held of it. */
  #isSuperseded(cut: Cut | undefined): boolean {
    const settled = settledOf(this.#chain);
    const generation = cut?.generation ?? 0;
    const onChain = cut === undefined || this.#chain[generation - 1]?.id === cut.id;
    if (onChain) {
      const after = this.#chain[generation];
      return after !== undefined && settled.has(after.id);
    }
    // It parted from the chain somewhere, at the latest in its own generation.
    const winner = this.#chain[this.#partedAt(cut) - 1];
    return winner !== undefined && settled.has(winner.id);
  }

  /** The first generation in which the way to this cut is not the chain. */
  #partedAt(cut: Cut): number {
    let parted = cut.generation;
    const byId = new Map(this.#cuts.map((one) => [one.id, one]));
    for (let one: Cut | undefined = cut; one !== undefined; one = byId.get(one.parent)) {
      if (this.#chain[one.generation - 1]?.id === one.id) break;
      parted = one.generation;
    }
    return parted;
  }

  /** All that is held here counts in the current generation, on disk; then it is said, and seen who else said so. */
  async #confirm(): Promise<void> {
    const { documents, replica, members, acknowledge, settle } = this.context;
    const { document, cut } = this.#current ?? {};
    if (document === undefined || cut === undefined) return;
    await documents.saver.flush(document.id);
    const latest = this.#chain.at(-1);
    if (latest?.id !== cut.id || this.#closed) return;
    if (!latest.moved.has(replica)) await acknowledge(latest);
    else if (!latest.settled && members().every((member) => latest.moved.has(member))) await settle(latest);
  }

  /** Closes what nothing is awaited of, and takes from the disk what a settled cut has replaced. */
  async #tidy(): Promise<void> {
    const { documents, stored, log } = this.context;
    for (const [id, source] of this.#sources) {
      const { document, cut } = source;
      if (this.#isAwaited(cut) || !this.#isAtEnd() || this.#closed) continue;
      await documents.saver.flush((this.#current as Generation).document.id);
      if (!sameHeads(source.drained ?? [], A.getHeads(document.handle.doc()))) return this.schedule();
      this.#sources.delete(id);
      this.#finished.add(id);
      await documents.close(document);
      if (!this.#isSuperseded(cut)) continue;
      await stored.remove(id);
      log.info({ document: describeDocument(document.name) }, 'a generation that counts no more was removed');
    }
  }

  async #open(cut: Cut | undefined, first?: Uint8Array): Promise<OpenDocument> {
    const { documents, stored } = this.context;
    const document = await documents.open(documentOf(this.index, cut), first);
    if (A.getHeads(document.handle.doc()).length > 0) stored.added(document.id);
    return document;
  }
}

/** The first change of a generation is here, and so everything that its cut took over. */
function holds({ handle }: OpenDocument, cut: Cut | undefined): boolean {
  return cut === undefined || A.hasHeads(handle.doc(), [cut.bytesHash]);
}
