import { z } from 'zod';
import { HomeserverError } from '../../matrix/homeserver.js';
import type { Channel } from '../../sync/channel.js';
import type { Clock } from '../../time/clock.js';
import { holdMs, LONGEST_HOLD_MS } from './hold.js';
import { type SendClass, Turns } from './turns.js';

/** Relative, because clocks differ. */
const hold = z.object({ ms: z.number().min(0).max(LONGEST_HOLD_MS) });

/** Edits and courtesies wait longer than answers, here and on the peers: as long again as the hold was, at most this. */
const EDITS_AFTER_MS = 1000;
/**
 * Holds that begin within this of one another are one lesson; within so much more as edits are slower already, because
 * what the last lesson changed shows no sooner.
 */
const LESSON_MS = 2000;
const MOST_SLOWED = 64;
const FASTER_AFTER_MS = 30_000;
const LONGEST_PACE_MS = 1000;

/**
 * What the account may send, over all replicas (PROTOCOL O2, C2; DESIGN §7). A 429 that any of them meets holds all of
 * them: answers wait, each in its place, and none is dropped; stream edits and courtesies are left out, and come back
 * a while after answers do, at half their speed.
 */
export class Budget {
  private heldUntil = -Infinity;
  private tightUntil = -Infinity;
  /** Of that, what this replica met itself: its heartbeats say it again, to whoever did not hear. */
  private metUntil = -Infinity;
  private refusals = 0;
  private places = 0;
  private slowed = 1;
  private slowedAt = -Infinity;
  /** When this replica sent last, and how far apart the last 429 asked for. */
  private sentAt = -Infinity;
  private paceMs = 0;
  private readonly turns: Turns;
  private readonly stop: () => void;
  /** Since the start of this process. */
  readonly counts = { holds: 0, waitedMs: 0, leftOut: 0 };

  constructor(
    private readonly deps: {
      channel: Pick<Channel, 'broadcast' | 'on'>;
      clock: Clock;
      onRateLimit?: (ms: number) => void;
    },
  ) {
    this.turns = new Turns(deps.clock, () => this.heldUntil);
    this.stop = deps.channel.on('hold', hold, ({ ms }) => this.hear(ms));
  }

  close(): void {
    this.stop();
    this.turns.close(new Error('the replica is closing'));
  }

  /** Ms that the account's sends are held back now. */
  held(): number {
    return Math.max(0, this.heldUntil - this.now());
  }

  /** Ms that this replica, by an answer of the homeserver to itself, knows the account to be held. */
  met(): number {
    return Math.max(0, this.metUntil - this.now());
  }

  /** A peer holds the account, by its own word. */
  hear(ms: number): void {
    this.holdFor(Math.min(ms, LONGEST_HOLD_MS));
  }

  /** Sends that wait. */
  waiting(): number {
    return this.turns.waiting();
  }

  /** What may as well be left out has to be: something more important waits, or did a moment ago. */
  isTight(): boolean {
    return this.turns.busy() || this.tightUntil > this.now();
  }

  /** So soon after what this replica sent last, the homeserver would refuse it: it refused less already. */
  private isCrowded(): boolean {
    return this.slowdown() > 1 && this.sentAt + this.paceMs > this.now();
  }

  /** By how much stream edits are slower than usual: twice after each hold, half of it back every 30 s. */
  slowdown(): number {
    return Math.max(1, this.slowed / 2 ** Math.floor((this.now() - this.slowedAt) / FASTER_AFTER_MS));
  }

  /** Waits for its turn, tries, and waits again where it is refused. Any other error is the attempt's. */
  async send<T>(of: SendClass, attempt: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.places += 1;
    const place = this.places;
    for (;;) {
      const over = await this.turn(of, place, signal);
      this.sentAt = this.now();
      try {
        const sent = await attempt();
        this.refusals = 0;
        return sent;
      } catch (error) {
        if (!isRateLimit(error)) throw error;
        this.refused(error.detail.retryAfterMs);
      } finally {
        over();
      }
    }
  }

  /** Tries what may be left out: undefined where it was, because the account is or was held. */
  async offer<T>(attempt: () => Promise<T>): Promise<T | undefined> {
    if (this.isTight() || this.isCrowded()) {
      this.counts.leftOut += 1;
      return undefined;
    }
    this.sentAt = this.now();
    try {
      return await attempt();
    } catch (error) {
      if (!isRateLimit(error)) throw error;
      this.counts.leftOut += 1;
      this.refused(error.detail.retryAfterMs);
      return undefined;
    }
  }

  private async turn(of: SendClass, place: number, signal: AbortSignal | undefined): Promise<() => void> {
    signal?.throwIfAborted();
    if (!this.turns.busy()) return () => undefined;
    const since = this.now();
    try {
      return await this.turns.take(of, place, signal);
    } finally {
      this.counts.waitedMs += this.now() - since;
      if (this.turns.waiting() === 0) this.turns.paceMs = 0;
    }
  }

  private refused(askedMs: number | undefined): void {
    // Those that were under way together are one refusal.
    if (this.held() === 0) this.refusals += 1;
    const ms = holdMs(askedMs, Math.max(1, this.refusals));
    this.paceMs = Math.min(ms, LONGEST_PACE_MS);
    this.turns.paceMs = this.paceMs;
    this.holdFor(ms);
    this.metUntil = Math.max(this.metUntil, this.now() + ms);
    this.deps.channel.broadcast('hold', { ms });
    this.deps.onRateLimit?.(ms);
  }

  private holdFor(ms: number): void {
    const now = this.now();
    if (ms <= 0 || now + ms <= this.heldUntil) return;
    if (this.held() === 0) this.counts.holds += 1;
    this.heldUntil = now + ms;
    this.tightUntil = Math.max(this.tightUntil, now + ms + Math.min(ms, EDITS_AFTER_MS));
    if (now - this.slowedAt > LESSON_MS * this.slowdown()) {
      this.slowed = Math.min(2 * this.slowdown(), MOST_SLOWED);
      this.slowedAt = now;
    }
    this.turns.look();
  }

  private now(): number {
    return this.deps.clock.monotonic();
  }
}

const isRateLimit = (error: unknown): error is HomeserverError =>
  error instanceof HomeserverError && error.code === 'rate-limited';
