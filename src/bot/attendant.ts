import { type Answer, freeze } from '../delivery/answer.js';
import { nextAct, owed } from '../delivery/decide.js';
import { HomeserverError } from '../matrix/homeserver.js';
import { isClosedToUs, isRefused } from '../matrix/refusal.js';
import type { Fence } from '../routing/fence.js';
import type { Log } from '../telemetry/log.js';
import { type Clock, sleep } from '../time/clock.js';
import { type Attempts, MOST_ATTEMPTS } from './attempts.js';
import type { Copies } from './copies.js';
import { deadline, describe, gaveUp, ignoreAbort } from './failures.js';
import { goneNotice } from './gone-notice.js';
import type { Recorder } from './actors/recorder.js';
import type { JournalEntry } from './journal.js';
import { type Outbox, Stale } from './outbox.js';
import type { Records } from './records.js';
import { leaveToOthers } from './elsewhere.js';
import { shut } from './shut-room.js';
import type { SettleReason, Source } from './source.js';
import { Showing, type ShowingDeps, type Shows } from './showing.js';
import type { Signs } from './signs.js';
import type { TakingUp } from './taking-up.js';

/** How the surface ends its work on a source: a text to deliver, or nothing to say. */
export type Outcome = { answer: Answer } | { settle: SettleReason };

export interface WorkContext {
  signal: AbortSignal;
  shows: Shows;
  /** From now on the work waits for something out of reach, or no longer does. */
  waits(is: boolean): Promise<void>;
}

/** The room, as the attendant reads it. */
export interface Timeline {
  /** Resolves when the room's part of a /sync asked for after this call has been taken in (PROTOCOL D5). */
  catchUp(room: string, signal: AbortSignal): Promise<void>;
  /** The room could not be read up to the last /sync. */
  isBehind(room: string): boolean;
  /** Reads the room from the source on and rebuilds the source's events. */
  readSource(source: Source, signal: AbortSignal): Promise<void>;
  /** Reads what a source that is an edit replaces, unless that is known. */
  readOriginal(source: Source, signal: AbortSignal): Promise<void>;
  /** True if that event of ours is redacted now. */
  redacted(room: string, event: string): Promise<boolean>;
}

export interface AttendantDeps extends ShowingDeps {
  clock: Clock;
  log: Log;
  records: Records;
  recorder: Recorder;
  outbox: Outbox;
  copies: Copies;
  attempts: Attempts;
  takingUp: Pick<TakingUp, 'isGone' | 'isBehind' | 'closeLeft' | 'giveUp'>;
  /** It goes to the room's agent: it may be given up at any instant. */
  asksAgent: (source: Source) => boolean;
  journal: { append(entries: JournalEntry[]): Promise<void> };
  timeline: Timeline;
  fence: Fence;
  /** After so many ms without a beat each member has had its turn (PROTOCOL O3). */
  turnsMs: () => number;
  /** False: it is not for us, or not for its sender to ask. */
  admit: (source: Source, signal: AbortSignal) => Promise<boolean>;
  signs: Pick<Signs, 'read' | 'typing'>;
  work: (source: Source, context: WorkContext) => Promise<Outcome>;
  /** What must be known of a source before its attempt is written. */
  prepare: (source: Source, signal: AbortSignal) => Promise<void>;
  /** Everything before it in its room is settled. */
  floorFree: (source: Source) => boolean;
  /** Counts what happened, for /metrics. */
  happened?: (event: string, outcome: string) => void;
  /** How long a step took, milliseconds, for /metrics. */
  took?: (step: string, ms: number) => void;
}

/** A homeserver forgets a transaction id after 24 h; a step that may be half as old looks into the room (D5). */
const LOOK_BACK_MS = 12 * 3600_000;
const ECHO_MS = 500;
const BACKOFF_MS = { first: 200, most: 5000 };

/**
 * Brings one source from its turn to its settled mark: catches up, obtains a text, freezes it, sends what
 * {@link nextAct} says, reads what won, and so on until the room shows one text, whole. Every wait ends with the
 * signal; every error either ends the source for a reason of PROTOCOL C1 or is tried again after a pause.
 */
export class Attendant {
  constructor(private readonly deps: AttendantDeps) {}

  async attend(source: Source, signal: AbortSignal): Promise<void> {
    let pause = BACKOFF_MS.first;
    while (!signal.aborted) {
      try {
        if (await this.step(source, signal)) return;
        pause = BACKOFF_MS.first;
      } catch (error) {
        if (signal.aborted) break;
        const again = await this.recover(source, error, pause, signal);
        if (!again) return;
        pause = Math.min(pause * 2, BACKOFF_MS.most);
      }
    }
    await this.passOn(source);
  }

  /** O7: handed over, not failed: the attempt does not count (C2). */
  private async passOn(source: Source): Promise<void> {
    if (source.attempt === undefined) return;
    const attempt = source.attempt;
    source.attempt = undefined;
    await this.deps.attempts.end(source, attempt, 'outage');
  }

  /** One look and one act; true when the source is settled and nothing is owed. */
  private async step(source: Source, signal: AbortSignal): Promise<boolean> {
    if (source.closed) return this.giveUp(source, signal);
    await this.readUpToNow(source, signal);
    await this.deps.takingUp.closeLeft(source, signal);
    const act = nextAct(source.view(), source.held);
    switch (act.act) {
      case 'settle':
        await this.settle(source, act.reason, act.event);
        return true;
      case 'obtain':
        if (source.settled !== undefined && !source.isLeftOpen) return true;
        return this.obtain(source, act.round, signal);
      default: {
        // Whatever makes it the next step again, it must not become a flood.
        if (source.lastStep === act.step) await sleep(this.deps.clock, BACKOFF_MS.first, signal);
        source.lastStep = act.step;
        const event = await this.deps.outbox.act(source, act, signal);
        if (act.act !== 'redact') return this.readWhatWon(source, event, signal);
        source.redact(act.event);
        return false;
      }
    }
  }

  /** C1: nothing can be said in a room that the bot is not in; what is owed there waits for it to be back. */
  private async giveUp(source: Source, signal: AbortSignal): Promise<boolean> {
    if (source.settled === undefined) {
      await this.deps.takingUp.giveUp(source, signal);
      return this.end(source, 'forbidden');
    }
    shut(source, this.deps.clock);
    return true;
  }

  /** D5: after start, thaw or takeover nothing is sent before the room was read up to a /sync asked for now. */
  private async readUpToNow(source: Source, signal: AbortSignal): Promise<void> {
    const { fence, timeline, clock } = this.deps;
    const { room } = source.ref;
    if (source.stale || fence.raised() || timeline.isBehind(room)) {
      const mark = fence.mark();
      await timeline.catchUp(room, signal);
      fence.lower(mark);
      source.stale = false;
    }
    if (!source.whole || clock.monotonic() - source.readAt > LOOK_BACK_MS) {
      await timeline.readSource(source, signal);
      source.readAt = clock.monotonic();
    }
    await timeline.readOriginal(source, signal);
  }

  /** D2: what stands under the step is what the timeline shows, not what we sent. The echo in /sync tells, else a
   * /sync asked for, else the room from the source on; an event found redacted settles the source: then true. */
  private async readWhatWon(source: Source, event: string, signal: AbortSignal): Promise<boolean> {
    const { timeline, clock } = this.deps;
    const echo = AbortSignal.any([signal, deadline(clock, ECHO_MS)]);
    while (!source.knows(event) && !echo.aborted) await source.changed(echo);
    if (!source.knows(event)) await timeline.catchUp(source.ref.room, signal);
    if (!source.knows(event)) await timeline.readSource(source, signal);
    const won = source.find(event);
    if (won?.redacted === false) return false;
    if (won === undefined && !(await timeline.redacted(source.ref.room, event))) {
      throw new HomeserverError('unreachable', `event ${event} is not in the room's timeline yet`);
    }
    return this.end(source, 'redacted', event);
  }

  /** Gets a text from the peers, else from the surface; freezes it. True when there is nothing to say. */
  private async obtain(source: Source, round: string | undefined, signal: AbortSignal): Promise<boolean> {
    const isForgotten = this.deps.records.forgotten(source.ref);
    const isGone = isForgotten || (await this.deps.takingUp.isGone(source, signal));
    if (isGone && source.view().anchor === undefined) return this.end(source, 'dropped');
    if (isGone) {
      // A placeholder stands, and is ended (D8); the agent is not asked about what is gone.
      await this.freeze(source, goneNotice(source, isForgotten));
      return false;
    }
    if (await this.askPeers(source, round)) return false;
    // What stands in the room already was for us, whoever judged it so.
    const isUnseen = source.view().anchor === undefined;
    if (isUnseen && !(await this.deps.admit(source, signal))) return this.end(source, 'not-for-us');
    const outcome = await this.run(source, signal);
    if (outcome === undefined) return false;
    if ('settle' in outcome) return this.end(source, outcome.settle);
    await this.freeze(source, outcome.answer);
    return false;
  }

  private async end(source: Source, reason: SettleReason, event?: string): Promise<boolean> {
    await this.settle(source, reason, event);
    return true;
  }

  /** D3: who takes over asks the peers before the agent; one that settled it makes us read the room again.
   * True when that changed what is known. */
  private async askPeers(source: Source, round: string | undefined): Promise<boolean> {
    const asked = round ?? '';
    if (source.asked === asked || (round === undefined && !source.takenOver)) return false;
    source.asked = asked;
    const told = await this.deps.copies.ask(source.id);
    for (const answer of told.answers) source.hold(answer);
    if (told.settled) {
      source.stale = true;
      source.whole = false;
    }
    return told.settled || told.answers.length > 0;
  }

  /** Runs the surface's work under a durable attempt, until it ends or the room or a peer brings a text first. */
  private async run(source: Source, signal: AbortSignal): Promise<Outcome | undefined> {
    const { attempts, work, signs } = this.deps;
    if (attempts.spent(source.ref) >= MOST_ATTEMPTS) {
      source.failure = 'attempts';
      return { answer: gaveUp(source) };
    }
    await this.deps.prepare(source, signal);
    if (this.deps.takingUp.isBehind(source)) return undefined;
    if (source.attempt === undefined) {
      source.attempt = await attempts.begin(source);
      if (source.ref.kind === 'message') signs.read(source);
    }
    const superseded = new AbortController();
    const running = AbortSignal.any([signal, superseded.signal]);
    const watching = this.watch(source, superseded, running);
    const shows = new Showing(this.deps, source, signal);
    try {
      return await work(source, { signal: running, shows, waits: (is) => this.waits(source, is) });
    } catch (error) {
      if (superseded.signal.aborted && !signal.aborted) return undefined;
      // What another room refuses (a space, a chat) says nothing about the source's own: it failed, and is told so.
      if (isRefused(error)) throw new Error(`refused elsewhere: ${error.message}`, { cause: error });
      throw error;
    } finally {
      source.waiting = false;
      superseded.abort();
      await Promise.all([shows.stop(), watching]);
    }
  }

  /** O3, C2: no beats and no attempt counted while it waits, so that another replica may reach further. */
  private async waits(source: Source, is: boolean): Promise<void> {
    source.waiting = is;
    if (source.attempt === undefined) return;
    if (is) await this.deps.attempts.end(source, source.attempt, 'outage');
    else await this.deps.attempts.resume(source, source.attempt);
  }

  /** Ends a run as soon as the room or a peer's copy makes another act possible. */
  private async watch(source: Source, superseded: AbortController, running: AbortSignal): Promise<void> {
    while (!running.aborted) {
      const isWithdrawn = source.closed || (source.dropped && this.deps.asksAgent(source));
      if (isWithdrawn || nextAct(source.view(), source.held).act !== 'obtain') superseded.abort();
      else await source.changed(running);
    }
  }

  /** D4: frozen in the journal, then offered to the peers, before the first final send. */
  private async freeze(source: Source, answer: Answer): Promise<void> {
    const frozen = source.taken ? { ...answer, of: source.taken.id } : answer;
    await this.deps.journal.append([{ t: 'frozen', source: source.id, answer: frozen }]);
    source.repliedAt ??= this.deps.clock.now();
    if (answer.parts.length > 1) this.deps.recorder.replying(source);
    await this.deps.copies.offer(source.id, frozen);
    source.hold(frozen);
  }

  /** C1, A1: the mark is durable before the journal entry goes; what is owed keeps the entry (C3). */
  private async settle(source: Source, reason: SettleReason, event: string | undefined): Promise<void> {
    const { records, recorder, clock, journal, floorFree } = this.deps;
    if (!records.marked(source.ref) && !records.forgotten(source.ref)) {
      // Also where there is nothing to write: what a peer wrote may stand in memory alone, and is flushed.
      if (source.ref.kind === 'greeting') {
        await records.write(recorder.greeted(source), { id: source.id, ts: source.ref.ts });
      }
      const floor = floorFree(source);
      const events = recorder.settled(source, reason);
      const { attempt } = source;
      await records.settle(source.ref, { reason, event, at: clock.now(), floor, attempt, events });
    }
    this.deps.happened?.('settled', reason);
    if (source.settled === undefined) this.deps.took?.('settle', clock.monotonic() - source.seenAt);
    source.settled ??= reason;
    source.settledAt ??= clock.monotonic();
    if (owed(source.view()) || source.isLeftOpen) return;
    source.released = true;
    await journal.append([{ t: 'settled', source: source.id }]);
  }

  /** True: try again. An outage is waited out and counts as no attempt (C2). */
  private async recover(
    source: Source,
    error: unknown,
    pause: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { log, clock, timeline } = this.deps;
    if (error instanceof Stale) return true;
    if (error instanceof HomeserverError) {
      // C1: we may not write there, or the room is gone.
      if (isClosedToUs(error)) {
        shut(source, clock);
        return !(await this.end(source, 'forbidden'));
      }
      if (error.code === 'refused' && error.detail.status === 413) return this.tooLarge(source);
      if (isOfOurWay(error)) return this.leaveToOthers(source, error);
      if (!isRefused(error)) {
        source.stale = true;
        // Another replica may be able to read what we cannot: it is no failure of the source's, and not ours alone (C2).
        if (timeline.isBehind(source.ref.room)) await this.passOn(source);
        await sleep(clock, error.detail.retryAfterMs ?? pause, signal).catch(ignoreAbort(signal));
        return true;
      }
    }
    log.error(
      { source: source.id, room: source.ref.room, error: describe(error) },
      'work on a source failed',
    );
    await this.failed(source);
    if (this.deps.attempts.spent(source.ref) > MOST_ATTEMPTS) {
      shut(source, clock);
      return !(await this.end(source, 'forbidden'));
    }
    await sleep(clock, pause, signal).catch(ignoreAbort(signal));
    return true;
  }

  /** Our account or our way to the homeserver does not pass now: another replica's way may, so no beats meanwhile (O2). */
  private async leaveToOthers(source: Source, error: HomeserverError): Promise<boolean> {
    const { log, clock, turnsMs } = this.deps;
    const againInMs = leaveToOthers(source, clock, turnsMs());
    log.warn(
      { source: source.id, room: source.ref.room, error: error.message, againInMs },
      'the homeserver refuses for a reason that is not of the room',
    );
    await this.passOn(source);
    source.stale = true;
    return false;
  }

  /** Counts an attempt that failed (PROTOCOL C2). */
  async failed(source: Source): Promise<void> {
    const attempt = source.attempt ?? (await this.deps.attempts.begin(source));
    source.attempt = undefined;
    await this.deps.attempts.end(source, attempt, 'failed');
  }

  /** D3: a part refused for good ends the source with an error edit. */
  private async tooLarge(source: Source): Promise<boolean> {
    source.held.splice(0);
    source.failure = 'too-large';
    await this.freeze(source, freeze('m.notice', ['The answer was too large for this homeserver.']));
    return true;
  }
}

/** A 403 or 404 that says nothing of the room. */
const isOfOurWay = (error: HomeserverError): boolean =>
  error.code === 'refused' && error.detail.status !== 401 && !isRefused(error);
