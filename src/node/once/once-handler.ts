import { KeyedStoreError } from '../../keyed/errors.js';
import type { Claimed, ClaimStore, HeldClaim, UnguardedClaim } from '../../keyed/claim-store.js';
import type { Limit } from '../../storage/limit.js';
import type { Log } from '../../telemetry/log.js';
import { sleep, type Clock } from '../../time/clock.js';
import { heardKey, type HeardEvent } from '../matrix-storage/heard-events.js';
import type { LocalState } from '../matrix-storage/local-state.js';
import { heardEvent } from './heard-event.js';
import type { OnceCounters } from './once-counters.js';
import type { OnceRules } from './once-options.js';
import { HeldTurn, type Turn } from './turn.js';

/** What a handler of events is given. */
export type OnceCallback = (room: string, event: never, turn: Turn) => unknown;

export interface OnceContext {
  local: LocalState;
  counters: OnceCounters;
  clock: Clock;
  log: Log;
  /** Aborted when the node closes. */
  signal: AbortSignal;
  /** Requests at the authority at once. */
  limit: Limit;
}

/** Runs that threw or died with their process, until this replica leaves an event to the others. */
const MOST_ATTEMPTS = 3;
const AGAIN_MS = 1_000;
/** How long the word of the authority is waited for when the node closes, milliseconds. */
const CLOSING_MS = 2_000;

/** One handler of `node.once`, and the events that it heard and does not know to be done (docs/decisions/0019). */
export class OnceHandler {
  readonly #turns = new Set<HeldTurn>();
  #waits = false;

  constructor(
    private readonly rules: OnceRules,
    private readonly callback: OnceCallback,
    private readonly store: ClaimStore,
    private readonly context: OnceContext,
  ) {}

  /** Takes an event as the SDK hands it over, and keeps it until it is known to be done; undefined: nothing to do. */
  hear(room: unknown, given: unknown): Promise<void> | undefined {
    const { local, counters, log, clock, signal } = this.context;
    if (signal.aborted) return undefined;
    const event = heardEvent(this.rules.name, room, given, clock.now());
    if (event === undefined) {
      counters.malformed += 1;
      log.warn({ handler: this.rules.name }, 'what was handed over is no event, or too large: not handled');
      return undefined;
    }
    const key = heardKey(event);
    if (local.heard.has(key) || local.heard.isDone(key)) {
      counters.again += 1;
      return undefined;
    }
    if (!local.heard.add(event)) {
      counters.refused += 1;
      log.error({ handler: this.rules.name, event: event.id }, 'too many events wait: this one is not kept');
      return undefined;
    }
    counters.heard += 1;
    return this.settle(event, given);
  }

  /** Takes up what an earlier process of this replica heard and left. */
  resume(event: HeardEvent): Promise<void> {
    const { counters, local, log } = this.context;
    try {
      return this.settle(event, JSON.parse(event.text) as unknown);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      counters.malformed += 1;
      log.warn({ handler: this.rules.name }, 'an event that was kept is no JSON: not handled');
      local.heard.remove(heardKey(event));
      return Promise.resolve();
    }
  }

  /** Of its turns that are under way: they may not go on for long. */
  abort(): void {
    for (const turn of this.#turns) turn.abort();
  }

  /** Until the event is done, here or elsewhere, or given up, or the node closes. */
  async settle(event: HeardEvent, given: unknown): Promise<void> {
    const { clock, signal } = this.context;
    try {
      while (!this.#isOver(event)) {
        const waitMs = await this.#try(event, given);
        if (waitMs === 'done') return this.#remove(event);
        await sleep(clock, waitMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Given up, with a word. */
  #isOver(event: HeardEvent): boolean {
    const { counters, log, clock } = this.context;
    const tooOld = clock.now() - event.at > this.rules.remember;
    const isTried = event.attempts >= MOST_ATTEMPTS && !this.context.local.heard.isDone(heardKey(event));
    if (!tooOld && !isTried) return false;
    counters[tooOld ? 'tooOld' : 'givenUp'] += 1;
    const why = tooOld
      ? 'an event is older than is remembered: not handled'
      : 'an event was tried too often here';
    log.error({ handler: this.rules.name, event: event.id, attempts: event.attempts }, why);
    this.#remove(event);
    return true;
  }

  /** One try; gives after how many milliseconds the next is due. */
  async #try(event: HeardEvent, given: unknown): Promise<'done' | number> {
    const { local, counters } = this.context;
    const claimed = await this.#claimed(event.id);
    if (claimed === undefined) return AGAIN_MS;
    if (!claimed.granted) {
      if (claimed.reason === 'held') return Math.max(1, claimed.waitMs);
      counters.elsewhere += 1;
      return 'done';
    }
    if (!local.heard.isDone(heardKey(event))) {
      // Counted on disk before it begins: an event that kills its process does not do so for ever (PROTOCOL C2).
      event.attempts += 1;
      await local.save();
      const isLate = 'token' in claimed && claimed.leftMs() <= 0;
      if (isLate || !(await this.#run(event, given, claimed))) {
        if (isLate || this.context.signal.aborted) event.attempts -= 1;
        else counters.failed += 1;
        await this.#ended('release', claimed);
        return AGAIN_MS * event.attempts;
      }
      counters.handled += 1;
      if (!('token' in claimed)) counters.unguarded += 1;
      local.heard.addDone(heardKey(event));
    }
    // A next start of this replica only commits what is known as done here.
    await Promise.all([local.save(), this.#ended('commit', claimed)]);
    return 'done';
  }

  /** Undefined: nobody decides. */
  async #claimed(id: string): Promise<Claimed | undefined> {
    const { limit, log, signal } = this.context;
    try {
      const claimed = await limit.run(() => this.store.claim(id, { owner: 'once', signal }));
      if (this.#waits) log.info({ handler: this.rules.name }, 'the authority on claims decides again');
      this.#waits = false;
      return claimed;
    } catch (error) {
      if (!(error instanceof KeyedStoreError) || !isOutage(error)) throw error;
      this.#sayWaiting(error);
      return undefined;
    }
  }

  async #run(event: HeardEvent, given: unknown, claim: HeldClaim | UnguardedClaim): Promise<boolean> {
    const { clock, log } = this.context;
    const turn = new HeldTurn(this.store, claim, { lease: this.rules.lease, clock, log });
    this.#turns.add(turn);
    try {
      const { signal, fence } = turn;
      await this.callback(event.room, given as never, { signal, fence, attempt: event.attempts });
      return true;
    } catch (error) {
      log.error({ err: error, handler: this.rules.name, event: event.id }, 'the handler of an event failed');
      return false;
    } finally {
      turn.end();
      this.#turns.delete(turn);
    }
  }

  /** Tells the authority, as long as it takes: what was done and is not committed would be done again. */
  async #ended(verb: 'commit' | 'release', claim: HeldClaim | UnguardedClaim): Promise<void> {
    const { counters, log, signal, limit } = this.context;
    for (;;) {
      try {
        const options = signal.aborted ? { patience: CLOSING_MS } : { signal };
        await limit.run(() => this.store[verb](claim, options));
        return;
      } catch (error) {
        // The node closes: the lease will be over.
        if (signal.aborted && (isOutage(error) || error === signal.reason)) return;
        if (!(error instanceof KeyedStoreError)) throw error;
        if (isOutage(error)) {
          this.#sayWaiting(error);
          continue;
        }
        // Another was given it meanwhile. Released, that is nobody's loss.
        if (verb === 'commit') {
          counters.overtaken += 1;
          log.warn(
            { handler: this.rules.name, code: error.code },
            'an event was given to another replica too',
          );
        }
        return;
      }
    }
  }

  /** Once for each outage. */
  #sayWaiting({ code, message }: KeyedStoreError): void {
    const { counters, log, local } = this.context;
    counters.waited += 1;
    if (!this.#waits) {
      log.warn({ handler: this.rules.name, code, events: local.heard.size }, `events wait: ${message}`);
    }
    this.#waits = true;
  }

  #remove(event: HeardEvent): void {
    const { local, signal, log } = this.context;
    local.heard.remove(heardKey(event));
    local.save().catch((error: unknown) => {
      if (!signal.aborted) log.error({ err: error }, 'what is done could not be written down');
    });
  }
}

const isOutage = (error: unknown): boolean =>
  error instanceof KeyedStoreError && (error.code === 'no-authority' || error.code === 'full');
