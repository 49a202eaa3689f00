import type { Answer } from '../delivery/answer.js';
import { owed } from '../delivery/decide.js';
import { type Situation, turn } from '../routing/turn.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { Attendant } from './attendant.js';
import type { Presence } from './presence.js';
import { endedAs } from './ended-as.js';
import { keptSince } from './kept-sources.js';
import type { Records } from './records.js';
import { Source, type SourceRef } from './source.js';

export interface EngineDeps {
  clock: Clock;
  log: Log;
  records: Records;
  presence: () => Presence;
  attendant: () => Attendant;
  self: string;
  /** A relay is in reach. */
  relay: () => boolean;
  /** This replica may begin something now (PROTOCOL O1, O7). */
  mayBegin: () => boolean;
  leaseMs: number;
  patienceMs: number;
  /** Settled without our doing: the journal entry may go. */
  onSettled: (source: Source) => void;
  /** Texts that peers offered before this replica knew of the source. */
  offered: (source: string) => Answer[];
  /** Ownership changed hands to this replica (PROTOCOL O4). */
  onEpoch?: (epoch: number) => void;
}

/** How long the next in rank leaves a shard that is to be cut to the one before it, milliseconds. */
const CUT_PATIENCE_MS = 10 * 60_000;
const ATTEND_AGAIN_MS = 1000;

/**
 * The pending buffer and the one decision over it: which source this replica acts on now. Inputs change state and
 * call {@link evaluate}; it begins what is due and sets one timer for what is due next. In each room one source
 * at a time, in timeline order; what passes ahead passes (PROTOCOL O6).
 */
export class Engine {
  private readonly sources = new Map<string, Source>();
  private readonly rooms = new Map<string, Source[]>();
  private readonly working = new Set<Promise<void>>();
  private scheduled = false;
  private timer: Cancel | undefined;
  private closed = false;
  epoch = 0;

  constructor(private readonly deps: EngineDeps) {}

  get(id: string): Source | undefined {
    return this.sources.get(id);
  }

  all(): Iterable<Source> {
    return this.sources.values();
  }

  /** Adds a source behind those of its room; the known one when it is known. */
  add(ref: SourceRef, read: { whole: boolean; stale: boolean }): Source {
    const known = this.sources.get(ref.id);
    if (known !== undefined) return known;
    const source = new Source(ref, this.deps.clock.monotonic(), read);
    source.takenOver = read.stale || this.turnOf(source).rank > 0;
    this.sources.set(ref.id, source);
    const room = this.rooms.get(ref.room) ?? [];
    this.rooms.set(ref.room, room);
    room.push(source);
    for (const answer of this.deps.offered(ref.id)) source.hold(answer);
    this.evaluate();
    return source;
  }

  /** The sources this replica is at work on and gets on with, for its heartbeats (PROTOCOL O2, O3). */
  begun(): string[] {
    return [...this.sources.values()]
      .filter((source) => source.work !== undefined && !source.waiting)
      .map((source) => source.id);
  }

  /** Another replica said that it is at work on it. */
  progress(id: string): void {
    const source = this.sources.get(id);
    if (source === undefined || source.work !== undefined) return;
    source.lastProgress = this.deps.clock.monotonic();
    source.takenOver = true;
  }

  unsettled(): number {
    return [...this.sources.values()].filter((source) => source.settled === undefined).length;
  }

  /** For how long the oldest of them is known here, milliseconds; 0 when all are settled. */
  oldestUnsettledMs(): number {
    const now = this.deps.clock.monotonic();
    let oldest = now;
    for (const { settled, seenAt } of this.sources.values())
      if (settled === undefined) oldest = Math.min(oldest, seenAt);
    return now - oldest;
  }

  /** Everything before it in its room is settled (PROTOCOL C4). */
  floorFree(source: Source): boolean {
    const room = this.rooms.get(source.ref.room) ?? [];
    return room.slice(0, room.indexOf(source)).every((before) => before.settled !== undefined);
  }

  /** Looks at everything once more, soon. */
  evaluate(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.look();
    });
  }

  /** Ends the work under way; the sources stay unsettled, for whoever takes them over. */
  async stop(reason: string): Promise<void> {
    this.closed = true;
    this.timer?.();
    for (const source of this.sources.values()) source.work?.abort(new Error(reason));
    await Promise.all(this.working);
  }

  /** O7: lets go of what waits for an agent, if a peer is there to go on; resolves when nothing is under way. */
  async handOver(toPeer: boolean): Promise<void> {
    for (const source of this.sources.values()) {
      if (toPeer && source.held.length === 0) source.work?.abort(new Error('handed over'));
    }
    while (this.working.size > 0) await Promise.all(this.working);
  }

  /** Somebody was forgotten: what they are owed is looked at anew, also where this replica is at work on it. */
  endForgotten(): void {
    for (const source of this.sources.values()) {
      const isOpen = source.settled === undefined && source.held.length === 0;
      if (isOpen && this.deps.records.forgotten(source.ref)) source.work?.abort(new Error('forgotten'));
    }
    this.evaluate();
  }

  private look(): void {
    if (this.closed) return;
    let next = Infinity;
    const since = keptSince(this.sources, this.deps.clock.monotonic());
    for (const [room, list] of this.rooms) {
      this.forgetSafely(room, list, since);
      for (const source of list) {
        next = Math.min(next, this.considerSafely(source));
        if (source.settled === undefined && !source.ahead) break;
      }
      for (const source of list) if (source.ahead) next = Math.min(next, this.considerSafely(source));
    }
    this.timer?.();
    this.timer = Number.isFinite(next)
      ? this.deps.clock.after(Math.max(1, next), () => this.look())
      : undefined;
  }

  /** C2: no source can end the process, or hold the others up, by what is wrong with it. */
  private considerSafely(source: Source): number {
    try {
      return this.consider(source);
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.deps.log.error({ source: source.id, error: detail }, 'a source could not be considered');
      source.notBefore = this.deps.clock.monotonic() + ATTEND_AGAIN_MS;
      return ATTEND_AGAIN_MS;
    }
  }

  /** Begins it if it is due; else the ms until it will be. */
  private consider(source: Source): number {
    if (source.work !== undefined) return Infinity;
    this.noteSettled(source);
    if (source.settled !== undefined && !this.duty(source)) {
      this.release(source);
      return Infinity;
    }
    const { rank, waitMs } = this.turnOf(source);
    const late = source.settled !== undefined ? this.dutyDelay(source, rank) : 0;
    const wait = Math.max(waitMs, late, source.notBefore - this.deps.clock.monotonic());
    if (wait > 0) return wait;
    // What stands in the way, such as documents out of sync, may go without any word.
    if (!this.deps.mayBegin()) return this.deps.leaseMs / 3;
    this.begin(source);
    return Infinity;
  }

  /** This replica's rank for what a person has in a room, 0 first (PROTOCOL O3). */
  rank(room: string, person: string): number {
    const shard = this.deps.records.state.shardOf(room, person);
    return turn(this.situation(), { source: '', shard, seenAt: 0, lastProgress: undefined }).rank;
  }

  /** Ms until this replica may carry out what an actor has owed since then (PROTOCOL O3). */
  actorTurn(actor: string, since: number): number {
    if (!this.deps.mayBegin()) return Infinity;
    const shard = this.deps.records.state.turnShardOf(actor);
    return turn(this.situation(), { source: '', shard, seenAt: since, lastProgress: undefined }).waitMs;
  }

  /** Ms until this replica may cut a shard that has been due since then: the order is that of prompts (PROTOCOL O3). */
  cutTurn(shard: number, since: number): number {
    if (!this.deps.mayBegin()) return Infinity;
    const { rank } = turn(this.situation(), { source: '', shard, seenAt: since, lastProgress: undefined });
    return Math.max(0, since + rank * CUT_PATIENCE_MS - this.deps.clock.monotonic());
  }

  private turnOf(source: Source): { rank: number; waitMs: number } {
    const { records } = this.deps;
    return turn(this.situation(), {
      source: source.id,
      shard: records.state.shardOf(source.personal ? undefined : source.ref.room, source.ref.sender),
      seenAt: source.seenAt,
      lastProgress: source.lastProgress,
    });
  }

  private situation(): Situation {
    const { clock, self, records, presence, relay, leaseMs, patienceMs } = this.deps;
    return {
      self,
      members: [...new Set(records.members(clock.now())).add(self)],
      peers: presence().states(),
      relay: relay(),
      now: clock.monotonic(),
      leaseMs,
      patienceMs,
    };
  }

  private begin(source: Source): void {
    const work = new AbortController();
    source.work = work;
    if (source.takenOver) {
      source.stale = true;
      this.epoch = Math.max(this.epoch, this.deps.presence().highestEpoch()) + 1;
      this.deps.onEpoch?.(this.epoch);
      const { id, ref } = source;
      this.deps.log.info({ source: id, room: ref.room, epoch: this.epoch }, 'taking a source over');
    }
    this.deps.presence().speak();
    const attending = this.deps
      .attendant()
      .attend(source, work.signal)
      .catch((error: unknown) => this.fail(source, error))
      .finally(() => {
        source.work = undefined;
        this.working.delete(attending);
        this.evaluate();
      });
    this.working.add(attending);
  }

  /** What its own handling did not catch counts as an attempt too, so that it ends as a notice (C2). */
  private async fail(source: Source, error: unknown): Promise<void> {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.deps.log.error({ source: source.id, error: detail }, 'work on a source ended with an error');
    source.stale = true;
    source.notBefore = this.deps.clock.monotonic() + ATTEND_AGAIN_MS;
    try {
      await this.deps.attendant().failed(source);
    } catch (uncounted) {
      this.deps.log.error(
        { source: source.id, error: String(uncounted) },
        'a failed attempt could not be counted',
      );
    }
  }

  /** What the room shows settles it here, whoever brought it there. */
  private noteSettled(source: Source): void {
    if (source.settled !== undefined) return;
    const view = source.view();
    if (view.accepted === undefined && !(view.anchorRedacted && source.whole)) {
      const isOver = this.deps.records.forgotten(source.ref) && source.whole && view.anchor === undefined;
      if (!isOver && !this.deps.records.marked(source.ref)) return;
    }
    const ended = view.accepted === undefined ? endedAs(this.deps.records, source.ref) : 'answered';
    source.settled = view.anchorRedacted ? 'redacted' : ended;
    source.settledAt = this.deps.clock.monotonic();
  }

  /** A1, C3: the journal entry goes once the mark stands and nothing is owed, whoever brought that about. */
  private release(source: Source): void {
    if (source.released) return;
    source.released = true;
    this.deps.onSettled(source);
  }

  /** Still to be done although it is settled: a repair, a redaction (D3, D7, D10), or the mark. */
  private duty(source: Source): boolean {
    if (source.settled === 'redacted') return !this.marked(source);
    return owed(source.view()) || !source.whole || source.isLeftOpen || !this.marked(source);
  }

  private marked(source: Source): boolean {
    const { records } = this.deps;
    source.marked ||= records.marked(source.ref) || records.forgotten(source.ref);
    return source.marked;
  }

  /** Who settled it writes the mark; the others do when it has not come. */
  private dutyDelay(source: Source, rank: number): number {
    const due = (source.settledAt ?? 0) + (rank + 1) * this.deps.patienceMs;
    const urgent = owed(source.view()) || !source.whole || source.isLeftOpen;
    return urgent && rank === 0 ? 0 : due - this.deps.clock.monotonic();
  }

  private forgetSafely(room: string, list: Source[], since: number): void {
    try {
      this.forget(room, list, since);
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.deps.log.error({ room, error: detail }, 'settled sources of a room could not be forgotten');
    }
  }

  private forget(room: string, list: Source[], since: number): void {
    const kept = list.filter((source) => {
      const done = source.released && source.work === undefined && (source.settledAt ?? 0) < since;
      if (!done || this.duty(source)) return true;
      this.sources.delete(source.id);
      return false;
    });
    if (kept.length === list.length) return;
    if (kept.length === 0) this.rooms.delete(room);
    else this.rooms.set(room, kept);
  }
}
