import * as A from '@automerge/automerge';
import { auditLines, readAuditLines } from '../../actors/audit.js';
import { type Authorship, authorshipOf } from '../../actors/authorship.js';
import { readBase } from '../../actors/base.js';
import { eventOf } from '../../actors/cut.js';
import { compareEvents } from '../../actors/event.js';
import { ActorError } from '../../actors/errors.js';
import { entriesOf, type HistoryEntry, originOf } from '../../actors/history.js';
import { ActorLog } from '../../actors/log.js';
import { machineOf } from '../../actors/key.js';
import type { Machines } from '../../actors/machines.js';
import type { ActorSnapshot } from '../../actors/snapshot.js';
import { parseActorKey, splitActorKey } from '../../documents/actor-key.js';
import type { Archived } from '../../documents/audit-document.js';
import { type Document, keysOf } from '../../documents/document.js';
import type { CountMalformed } from '../../documents/errors.js';
import { kinds } from '../../documents/schemas/kinds.js';
import { NodeError } from '../errors.js';
import type { Clock } from '../../time/clock.js';
import { inSlices } from '../../time/slices.js';
import { type HistoryPart, type HistorySegment, wholeHistory } from './whole-history.js';
import type { RecordView } from '../record-view.js';
import type { AuditStore } from './store.js';

export interface ActorHistory {
  readonly entries: readonly HistoryEntry[];
  /** Stretches that could not be read. */
  readonly missing: readonly HistorySegment[];
}

/** A generation that was cut off, and what it was cut at. */
export interface CutOff {
  readonly generation: number;
  readonly heads: readonly string[];
}

export interface NodeHistoryContext {
  store: Pick<AuditStore, 'read' | 'write'>;
  machines(): Machines;
  view: Pick<RecordView, 'provenance'>;
  /** The shards that may hold records of an actor: more than one after two foundings apart. */
  shardsOf(actor: string): Iterable<number>;
  /** The generations of a shard before the current one, oldest first. */
  cutsOf(shard: number): readonly CutOff[];
  /** The current generation of a shard; undefined while this replica has none. */
  current(shard: number): { generation: number; document: Document } | undefined;
  /** Stamp up to which an actor's place was forgotten: audit documents of before may still tell of it. */
  forgottenTo?(actor: string): number | undefined;
  count: CountMalformed;
  clock: Clock;
}

/**
 * The history of actors from their very first event: the audit documents of the generations that were cut off, and
 * the one that is written now (REQUIREMENTS R5).
 */
export class NodeHistory {
  constructor(private readonly context: NodeHistoryContext) {}

  /**
   * The stretches in which an actor may have had events, oldest first.
   *
   * @throws {ActorError} `bad-key`.
   */
  segments(key: string): HistorySegment[] {
    if (parseActorKey(key) === undefined) {
      throw new ActorError(
        'bad-key',
        `an actor's key is <machine id>/<place>[/<rest>] without white space, not ${JSON.stringify(key)}`,
      );
    }
    const archived: HistorySegment[] = [];
    const live: HistorySegment[] = [];
    for (const shard of this.context.shardsOf(key)) {
      const cuts = this.context.cutsOf(shard);
      for (const { generation } of cuts) archived.push({ shard, generation, archived: true });
      live.push({ shard, generation: cuts.length, archived: false });
    }
    // What is written now is folded over all shards together.
    return [...archived, ...live.slice(0, 1)];
  }

  /** One stretch; undefined when its audit document is neither on this disk nor at a relay in reach. */
  async segment(key: string, segment: HistorySegment): Promise<HistoryEntry[] | undefined> {
    const { shard: index, generation } = segment;
    const cut = this.context.cutsOf(index).find((one) => one.generation === generation);
    // What was written now when the stretches were named may have been cut off meanwhile.
    if (!segment.archived && cut === undefined) return this.#live(key);
    const lines = cut && (await this.context.store.read({ index, generation, heads: cut.heads }));
    const to = this.context.forgottenTo?.(key) ?? -1;
    const entries = lines && (readAuditLines(lines, generation, this.context.count, key).get(key) ?? []);
    return entries?.filter(({ event }) => event.stamp > to);
  }

  /**
   * Every event of an actor, in the order of the fold, generation by generation, and where it was in several shards by
   * time; and the stretches that are missing.
   */
  async history(key: string): Promise<ActorHistory> {
    const parts: HistoryPart[] = [];
    const missing: HistorySegment[] = [];
    for (const segment of this.segments(key)) {
      const entries = await this.segment(key, segment);
      if (entries === undefined) missing.push(segment);
      else parts.push({ segment, entries });
    }
    return { entries: wholeHistory(parts), missing };
  }

  /**
   * Where an actor stood at a time, milliseconds; undefined when it had no event yet.
   *
   * @throws {NodeError} `missing-history` when an archive in which the answer may stand is out of reach.
   */
  async at(key: string, time: number): Promise<ActorSnapshot | undefined> {
    const segments = this.segments(key);
    const archived = shardsOf(segments.filter((one) => one.archived));
    let found: HistoryEntry | undefined;
    let hole: HistorySegment | undefined;
    let goesOn = true;
    for (const strand of archived.values()) {
      const before = await this.#before(key, strand, time);
      hole ??= before.hole;
      goesOn &&= before.goesOn;
      const { last } = before;
      if (last !== undefined && (found === undefined || compareEvents(last.event, found.event) > 0))
        found = last;
    }
    // What is written now is folded after all that was cut off.
    if (goesOn) {
      const now = await this.#before(
        key,
        segments.filter((one) => !one.archived),
        time,
      );
      found = now.last ?? found;
      if (now.last !== undefined) hole = undefined;
    }
    if (hole === undefined) return found?.to;
    throw new NodeError(
      'missing-history',
      `generation ${hole.generation} of shard ${hole.shard} is neither on this disk nor at a relay in reach`,
    );
  }

  /** The last event up to a time in the stretches of one shard, and the first that is missing and may hold a later one. */
  async #before(
    key: string,
    strand: readonly HistorySegment[],
    time: number,
  ): Promise<{ last: HistoryEntry | undefined; hole: HistorySegment | undefined; goesOn: boolean }> {
    let last: HistoryEntry | undefined;
    /** Missing, and nothing after it was seen that stands before the time. */
    let hole: HistorySegment | undefined;
    for (const segment of strand) {
      const entries = await this.segment(key, segment);
      if (entries === undefined) hole ??= segment;
      for (const entry of entries ?? []) {
        if (entry.event.stamp > time) return { last, hole, goesOn: false };
        last = entry;
        hole = undefined;
      }
    }
    return { last, hole, goesOn: true };
  }

  /** What a cut is preceded by: see {@link AuditStore.write}. */
  async archive(
    { index, generation }: Pick<Archived, 'index' | 'generation'>,
    document: Document,
    signal?: AbortSignal,
  ): Promise<void> {
    const { store, count, clock } = this.context;
    const steps = auditLines(document, this.context.machines(), generation, count);
    const lines = await inSlices(steps, clock);
    const heads = A.getHeads(document);
    await store.write(
      { index, generation, heads },
      lines.map(({ text }) => text),
      signal,
    );
  }

  #live(key: string): HistoryEntry[] {
    const { view, count } = this.context;
    const machines = this.context.machines();
    const stored = view.provenance('base', kinds.base.prefix + key)?.['base']?.value;
    const base = stored === undefined ? undefined : readBase(machineOf(key), machines, stored);
    const log = new ActorLog(key, machines, base);
    const authors = new Map<string, Authorship>();
    const causes = new Map<string, string>();
    const generations = new Map<string, number>();
    for (const shard of this.context.shardsOf(key)) {
      const current = this.context.current(shard);
      if (current === undefined) continue;
      const written = authorshipOf(A.getAllChanges(current.document), (actor) => actor === key, count);
      for (const [id, author] of written.get(key) ?? []) authors.set(id, author);
      for (const id of eventIds(current.document, key, count)) {
        const entry = view.provenance('event', `${kinds.event.prefix}${key} ${id}`)?.['event'];
        const event = entry && eventOf(id, entry, count);
        if (event === undefined) continue;
        log.insert(event);
        causes.set(id, entry?.cause ?? id);
        generations.set(id, Math.max(generations.get(id) ?? 0, current.generation));
      }
    }
    return entriesOf(log, machines, (id) =>
      originOf(causes.get(id) ?? id, generations.get(id) ?? 0, authors.get(id)),
    );
  }
}

function eventIds(document: Document, key: string, count: CountMalformed): string[] {
  const prefix = `${kinds.event.prefix}${key} `;
  return keysOf(document, 'event', count)
    .filter((one) => one.startsWith(prefix))
    .map((one) => splitActorKey(one.slice(kinds.event.prefix.length))?.id)
    .filter((id) => id !== undefined);
}

function shardsOf(segments: readonly HistorySegment[]): Map<number, HistorySegment[]> {
  const shards = new Map<number, HistorySegment[]>();
  for (const segment of segments) shards.set(segment.shard, [...(shards.get(segment.shard) ?? []), segment]);
  return shards;
}
