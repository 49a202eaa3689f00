import type { Log } from '../telemetry/log.js';
import { type Cancel, type Clock, sleep } from '../time/clock.js';
import { backoffMs } from './backoff.js';
import { type Batch, completeBatch, type ReadBefore } from './batch.js';
import { Debts } from './debts.js';
import { type Homeserver, HomeserverError, type RoomEvent } from './homeserver.js';
import { type ReadBack, type Reader, readBack, readFrom } from './timeline.js';

export interface InboxOptions {
  homeserver: Homeserver;
  clock: Clock;
  log: Log;
  /** Where to go on; without it the first batch is a first sync. */
  since?: string;
  /** Rooms that `since` passes and that are to be read each from a position of its own ({@link Batch}). */
  owed?: ReadonlyMap<string, string>;
  /** Milliseconds that a long poll stays open. */
  timeoutMs?: number;
  /** While the homeserver is silent, a `whoami` this often shows that it is there (PROTOCOL O1: a third of the lease). */
  probeEveryMs?: number;
  /**
   * Takes a batch over. The next position is used only after it resolved; when it rejects, the same position is
   * asked for again after a back-off, so the same events (and perhaps newer ones) come again.
   */
  onBatch: (batch: Batch, signal: AbortSignal) => Promise<void>;
  /** What is read of a room before its events are handed on. */
  readBefore: ReadBefore;
  random?: () => number;
}

export type InboxState = 'idle' | 'asking' | 'handling' | 'backing-off' | 'stopped';

interface Waiter {
  resolve: () => void;
  reject: (reason: Error) => void;
}

/**
 * The sync loop (PROTOCOL C3, D5): one batch at a time, every gap filled before it is handed on, no position used
 * before its batch was taken over. Failures of homeserver or receiver are logged and tried again; nothing is skipped.
 * A room that cannot be read is owed, and holds no other back.
 */
export class Inbox {
  #options: Required<Omit<InboxOptions, 'since' | 'owed'>>;
  #reader: Reader;
  #debts: Debts;
  #since: string | undefined;
  #state: InboxState = 'idle';
  #failures = 0;
  #lastFailure: HomeserverError['code'] | 'receiver' | undefined;
  #lastSuccess = -Infinity;
  /** Calls of catchUp that no request has been made for yet. */
  #waiting: Waiter[] = [];
  #stop = new AbortController();
  /** Ends the request and the gap reading of the round in progress. */
  #round: AbortController | undefined;
  /** The round in progress waits in a long poll that serves no call of catchUp, so it may be given up. */
  #idlePoll = false;
  #loop: Promise<void> | undefined;
  #cancelProbe: Cancel | undefined;
  #probe: 'none' | 'open' | 'failed' = 'none';

  constructor(options: InboxOptions) {
    this.#options = { timeoutMs: 30_000, probeEveryMs: 1000, random: Math.random, ...options };
    this.#since = options.since;
    const { homeserver, clock, log, random } = this.#options;
    this.#reader = { homeserver, clock, random, onSuccess: () => this.#succeeded() };
    this.#debts = new Debts({ clock, log, random }, options.owed);
  }

  /** Begins the loop. Once only: a stopped inbox is not started again. */
  start(): void {
    if (this.#state !== 'idle') throw new Error(`the inbox is ${this.#state}, it cannot be started`);
    this.#state = 'asking';
    this.#cancelProbe = this.#options.clock.every(this.#options.probeEveryMs, () => void this.#ask());
    this.#loop = this.#run();
  }

  /** Ends the open request, waits for the batch in hand; calls of catchUp still waiting are rejected as `aborted`. */
  async stop(): Promise<void> {
    this.#stop.abort(stopped());
    this.#round?.abort();
    this.#cancelProbe?.();
    await this.#loop;
    this.#state = 'stopped';
    for (const waiter of this.#waiting.splice(0)) waiter.reject(stopped());
  }

  /**
   * Resolves when the batch of a /sync *asked for after this call* has been handled (PROTOCOL D5): an open long
   * poll is given up and asked again at once. Calls at the same time share one request. Waits through outages:
   * give a signal, whose reason it then rejects with. Rooms that are owed then are not read ({@link owes}).
   */
  catchUp(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stop.signal.aborted) return reject(stopped());
      if (signal?.aborted) return reject(signal.reason as Error);
      const settle = () => signal?.removeEventListener('abort', onAbort);
      const waiter: Waiter = {
        resolve: () => {
          settle();
          resolve();
        },
        reject: (reason) => {
          settle();
          reject(reason);
        },
      };
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        waiter.reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#giveUpPoll();
    });
  }

  /** `clock.monotonic()` of the homeserver's last answer; -Infinity before the first. */
  lastSuccess(): number {
    return this.#lastSuccess;
  }

  /** Something of the room could not be read, and nothing that came since was handed on. */
  owes(room: string): boolean {
    return this.#debts.owes(room);
  }

  owed(): number {
    return this.#debts.rooms().length;
  }

  /** The position behind the last batch that was taken over. */
  position(): string | undefined {
    return this.#since;
  }

  /** For health and status: what the loop does, and how often it failed in a row, last by whom. */
  status(): { state: InboxState; failures: number; lastFailure?: HomeserverError['code'] | 'receiver' } {
    return {
      state: this.#state,
      failures: this.#failures,
      ...(this.#lastFailure === undefined ? {} : { lastFailure: this.#lastFailure }),
    };
  }

  /** Reads back from a token until `until` matches (inclusive), the room's start, or about `limit` events. */
  readBack(
    room: string,
    options: { from: string; until: (event: RoomEvent) => boolean; limit: number },
    signal?: AbortSignal,
  ): Promise<ReadBack> {
    return readBack(this.#reader, room, options, signal ?? this.#stop.signal);
  }

  /** Every event from `eventId` (inclusive) to now, oldest first. Without a signal, `stop` ends it, as in readBack. */
  readFrom(room: string, eventId: string, signal?: AbortSignal): Promise<RoomEvent[]> {
    return readFrom(this.#reader, room, eventId, signal ?? this.#stop.signal);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const served = this.#waiting.splice(0);
      const round = new AbortController();
      this.#round = round;
      try {
        // After a failure it is asked for an answer at once: a long poll of a quiet account would leave this replica unheard.
        const isShort = served.length > 0 || this.#failures > 0;
        const pollMs = Math.min(this.#options.timeoutMs, Math.ceil(this.#debts.dueInMs()));
        await this.#once(isShort ? 0 : pollMs, round);
        this.#failures = 0;
        this.#lastFailure = undefined;
        for (const waiter of served) waiter.resolve();
      } catch (error) {
        this.#waiting.unshift(...served);
        // Given up by ourselves, for stop, catchUp or a probe: no failure.
        if (!round.signal.aborted) await this.#backOff(error);
      }
    }
  }

  async #once(timeoutMs: number, round: AbortController): Promise<void> {
    const { homeserver, log, onBatch, readBefore } = this.#options;
    const since = this.#since;
    this.#state = 'asking';
    // What serves a catchUp is never given up for another: many of them would keep each other from an answer.
    this.#idlePoll = timeoutMs > 0 && since !== undefined;
    const request = { timeoutMs, signal: round.signal, ...(since === undefined ? {} : { since }) };
    const answer = await homeserver.sync(request).finally(() => (this.#idlePoll = false));
    this.#succeeded();
    this.#state = 'handling';
    const completing = { reader: this.#reader, debts: this.#debts, readBefore };
    const batch = await completeBatch(completing, since, answer, round.signal);
    for (const { room, unreadable } of batch.rooms)
      if (unreadable) log.warn({ room }, 'a room was closed to us before all of it was read');
    await onBatch(batch, round.signal);
    for (const room of batch.paid) this.#debts.settle(room);
    this.#debts.kept(batch.owed);
    this.#since = answer.next_batch;
  }

  #giveUpPoll(): void {
    if (this.#idlePoll) this.#round?.abort();
  }

  async #backOff(error: unknown): Promise<void> {
    this.#state = 'backing-off';
    this.#failures += 1;
    const cause = error instanceof HomeserverError ? error.code : 'receiver';
    this.#lastFailure = cause;
    const { clock, log, random } = this.#options;
    const waitMs = Math.round(backoffMs(error, this.#failures, random));
    const fields = { cause, failures: this.#failures, waitMs, error: String(error) };
    if (cause === 'receiver' || cause === 'refused') log.error(fields, 'the sync loop failed, trying again');
    else log.warn(fields, 'the sync loop failed, trying again');
    await sleep(clock, waitMs, this.#stop.signal).catch((reason: unknown) => {
      if (!this.#stop.signal.aborted) throw reason;
    });
  }

  /**
   * One probe. None while /sync fails: who cannot read is no candidate, whatever `whoami` says. The first success
   * after a failed probe gives the open poll up, whose connection may have died without a word.
   */
  async #ask(): Promise<void> {
    if (this.#probe === 'open' || this.#failures > 0 || this.#stop.signal.aborted) return;
    const { homeserver, clock, log, probeEveryMs } = this.#options;
    if (clock.monotonic() - this.#lastSuccess < probeEveryMs / 2) return;
    const before = this.#probe;
    this.#probe = 'open';
    try {
      await homeserver.whoami(this.#stop.signal);
      this.#probe = 'none';
      this.#succeeded();
      if (before === 'failed') this.#giveUpPoll();
    } catch (error) {
      this.#probe = 'failed';
      log.debug({ error: String(error) }, 'the homeserver did not answer a probe');
    }
  }

  #succeeded(): void {
    this.#lastSuccess = this.#options.clock.monotonic();
  }
}

const stopped = () => new HomeserverError('aborted', 'the inbox was stopped');
