import { splitActorKey } from '../../documents/actor-key.js';
import { keysOf, type Document, type Touched } from '../../documents/document.js';
import type { Json } from '../../documents/json.js';
import { kinds, type Kind } from '../../documents/schemas/kinds.js';
import type { Schemas } from '../../documents/migrations/schemas.js';
import type { Cause, Write } from '../../documents/write.js';
import type { Log } from '../../telemetry/log.js';
import type { Cancel, Clock } from '../../time/clock.js';
import type { Attendance } from '../attendance.js';
import type { NodeCounters } from '../counters.js';
import type { ErasedPlaces } from '../erasure/erased-places.js';
import type { OpenDocument, OpenDocuments } from '../open-documents.js';
import type { Records } from '../records.js';
import type { RelayWord } from '../relay-word.js';
import { chainOf } from './chain.js';
import { cutKey, documentOf, movedField, readCut, type Cut } from './cut.js';
import { Cutter } from './cutter.js';
import { RETIRED_AFTER_MS } from './next-generation.js';
import type { ActorBases, CutPorts, GenerationOptions } from './ports.js';
import { ShardGenerations } from './shard.js';
import type { StoredDocuments } from './stored-documents.js';

/** How often what could not be done is tried again, milliseconds; members retire by the passing of time, too. */
const LOOK_MS = 30_000;

export interface GenerationsContext {
  documents: OpenDocuments;
  records: Records;
  options: Pick<GenerationOptions, 'events' | 'bytes'>;
  bases: ActorBases;
  word: Pick<RelayWord, 'acknowledged'>;
  hasRelays: boolean;
  reachesRelay: () => boolean;
  counters: NodeCounters;
  clock: Clock;
  log: Log;
  replica: string;
  schemas: Schemas;
  forgotten?: ErasedPlaces | undefined;
  /** How long members have been away. */
  attendance: Pick<Attendance, 'awayMs'>;
  epoch: () => number;
  change: (writes: Write[], cause: Cause) => Promise<void>;
  sent: (document: OpenDocument, bytes: Uint8Array) => void;
  /** Another generation of a shard is read from now on; these records stand otherwise. */
  moved: (document: OpenDocument, touched: Touched[]) => void;
}

/**
 * The generations of all actors shards (PROTOCOL A6), from the cut records of `cluster`. The routing shards have one
 * generation for ever: they hardly grow, because what changes with every message is kept out of them (DESIGN §3).
 */
export class Generations {
  readonly #shards = new Map<number, ShardGenerations>();
  /** Cut records by shard and key. */
  readonly #cuts = new Map<number, Map<string, Cut>>();
  readonly #ended = new AbortController();
  readonly #cutter: Cutter;
  #cutting: Promise<number> | undefined;
  #stop: Cancel = () => {};

  constructor(
    private readonly context: GenerationsContext,
    private readonly stored: StoredDocuments,
  ) {
    this.#cutter = new Cutter({
      ...context,
      stored,
      isMixed: ({ handle, name }) =>
        context.records.mixed || holdsOthers(handle.doc(), name.index, context.records, context.counters),
      isRecorded: (index, id) => this.#cutsOf(index).some((cut) => cut.id === id),
    });
  }

  /**
   * Reads the cut records, and removes what cuts left behind that never got one. Records may come meanwhile: whoever
   * is told of them must know this object before it starts.
   */
  async start(): Promise<void> {
    for (const key of this.context.records.keys('cut')) this.#read(key);
    await this.#removeUnused();
    this.#stop = this.context.clock.every(LOOK_MS, () => this.#look());
  }

  /** The document that a shard is read from; undefined while this replica has none. */
  current(index: number): OpenDocument | undefined {
    return this.#shards.get(index)?.current;
  }

  /** The cuts that led to the document that a shard is read from, oldest first. */
  chain(index: number): Cut[] {
    return chainOf(this.#cutsOf(index)).slice(0, this.current(index)?.name.generation ?? 0);
  }

  /** Resolves when the shard may be written; undefined when it may be now. */
  writable(index: number): Promise<void> | undefined {
    return this.#shards.get(index)?.writable();
  }

  /** Every shard stands where the records say. */
  complete(): boolean {
    return [...this.#shards.values()].every((shard) => shard.writable() === undefined);
  }

  async openShard(index: number): Promise<void> {
    if (this.#shards.has(index)) return;
    const { replica } = this.context;
    const shard = new ShardGenerations(index, {
      ...this.context,
      stored: this.stored,
      members: () => this.#members(),
      acknowledge: (cut, heads) => this.#set(cut, movedField(replica), (at) => ({ at, heads })),
      settle: (cut) => this.#set(cut, 'settled_at', (at) => at),
      recorded: () => this.#recorded(),
    });
    this.#shards.set(index, shard);
    await shard.open(this.#cutsOf(index));
  }

  /** An actors document has changed. True when it is the one that is read, so that its records are what changed. */
  changed(document: OpenDocument): boolean {
    const shard = this.#shards.get(document.name.index);
    if (shard === undefined) return false;
    const isCurrent = shard.current?.id === document.id;
    // What a cut was made from may have come, and its bytes can be made here.
    if (!isCurrent || shard.writable() !== undefined) shard.schedule();
    return isCurrent;
  }

  /** A machine is known now: bytes that could not be made without it are tried anew. */
  machineRegistered(): void {
    for (const shard of this.#shards.values()) if (shard.writable() !== undefined) shard.schedule(true);
  }

  /** A record of `cluster` has changed. */
  recordChanged(kind: Kind, key: string): void {
    if (kind === 'member')
      for (const shard of this.#shards.values()) if (shard.cut !== undefined) shard.schedule();
    if (kind !== 'cut') return;
    const index = this.#read(key);
    if (index !== undefined) this.#shards.get(index)?.learn(this.#cutsOf(index));
  }

  /**
   * Cuts the shards that have grown enough and that `ports` says are ours. Resolves to the number of cuts made. A
   * call while another is under way shares it.
   */
  cutIfDue(ports: CutPorts): Promise<number> {
    this.#cutting ??= this.#cut(ports).finally(() => {
      this.#cutting = undefined;
    });
    return this.#cutting;
  }

  /** The shards that have grown enough to be cut. */
  due(): number[] {
    return [...this.#shards.values()].filter((shard) => this.#isDue(shard)).map(({ index }) => index);
  }

  /** Ends what is under way; a disk that fails is waited for up to `deadlineMs`, and no longer. */
  async close(deadlineMs: number): Promise<void> {
    this.#stop();
    this.#ended.abort(new Error('the node is closing'));
    const cutting = this.#cutting?.catch((error: unknown) => {
      this.context.log.info(
        { err: error },
        'a cut was ended by closing; what it left is removed at the next start',
      );
    });
    const ended = Promise.all([...[...this.#shards.values()].map((shard) => shard.close()), cutting]);
    await new Promise<void>((resolve, reject) => {
      const cancel = this.context.clock.after(deadlineMs, resolve);
      ended.then(() => resolve(), reject).finally(cancel);
    });
  }

  async #cut(ports: CutPorts): Promise<number> {
    let made = 0;
    for (const shard of this.#shards.values()) {
      if (this.#ended.signal.aborted) break;
      if (!ports.mayCut(shard.index) || !this.#isDue(shard)) continue;
      try {
        if (await this.#cutter.cut(shard, ports, this.#ended.signal)) made += 1;
      } catch (error) {
        // One shard that cannot be cut holds up no other.
        if (this.#ended.signal.aborted) throw error;
        const { counters, log } = this.context;
        counters.generations.cutsFailed += 1;
        log.error({ err: error, shard: shard.index }, 'a shard could not be cut: tried again');
      }
    }
    return made;
  }

  #isDue({ current, cut }: ShardGenerations): boolean {
    return current !== undefined && this.#cutter.isDue(current, cut);
  }

  async #removeUnused(): Promise<void> {
    for (const id of this.stored.begun) {
      if (this.#isKnown(id)) await this.stored.end(id);
      else {
        await this.stored.remove(id);
        this.context.log.info({ document: id }, 'a cut that was never recorded was removed');
      }
    }
  }

  /** Some cut's record names the document, as far as this replica has heard. */
  #isKnown(id: string): boolean {
    const { documents } = this.context;
    return [...this.#cuts].some(([index, cuts]) =>
      [...cuts.values()].some((cut) => String(documents.idOf(documentOf(index, cut))) === id),
    );
  }

  #look(): void {
    // Whoever gave a sign of life has: it is looked at while there is nothing to settle, too.
    this.#members();
    for (const shard of this.#shards.values()) if (this.#cutsOf(shard.index).length > 0) shard.schedule(true);
  }

  /** Takes a record up; gives its shard. */
  #read(key: string): number | undefined {
    const record = this.context.records.joined('cut', key);
    const cut = record && readCut(key, record);
    if (cut === undefined) {
      this.context.counters.generations.malformedCuts += 1;
      return undefined;
    }
    const cuts = this.#cuts.get(cut.index) ?? new Map<string, Cut>();
    this.#cuts.set(cut.index, cuts.set(key, cut));
    return cut.index;
  }

  #cutsOf(index: number): Cut[] {
    return [...(this.#cuts.get(index)?.values() ?? [])];
  }

  #members(): string[] {
    const { records, replica, attendance } = this.context;
    const members = new Set([replica]);
    for (const key of records.keys('member')) {
      const member = records.joined('member', key);
      const name = key.slice(kinds.member.prefix.length);
      const sign = ['last_seen_at', 'incarnation'].map((field) => member?.get(field)?.value ?? null);
      const isAway = attendance.awayMs(name, JSON.stringify(sign)) > RETIRED_AFTER_MS;
      if (member?.get('retired')?.value !== true && !isAway) members.add(name);
    }
    return [...members];
  }

  async #set(cut: Cut, field: string, value: (at: number) => Json): Promise<void> {
    const { change, clock } = this.context;
    const now = Math.floor(clock.now());
    const key = cutKey(cut.index, cut.generation, cut.id);
    await change([{ kind: 'cut', key, fields: { [field]: value(now) } }], { id: `cut:${cut.id}`, ts: now });
  }

  async #recorded(): Promise<void> {
    const { documents } = this.context;
    await documents.saver.flush(documents.idOf({ kind: 'cluster', index: 0, generation: 0 }));
  }
}

/** It holds actors that have their place in another shard: whoever wrote them counts the shards otherwise. */
function holdsOthers(
  document: Document,
  index: number,
  records: Pick<Records, 'shardOfActor'>,
  { countMalformed }: NodeCounters,
): boolean {
  const actors = new Set<string>();
  for (const kind of ['base', 'event'] as const) {
    for (const key of keysOf(document, kind, countMalformed)) {
      const name = key.slice(kinds[kind].prefix.length);
      const actor = kind === 'base' ? name : splitActorKey(name)?.actor;
      if (actor !== undefined) actors.add(actor);
    }
  }
  return [...actors].some((actor) => records.shardOfActor(actor) !== index);
}
