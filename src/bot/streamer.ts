import { wellFormed } from '../delivery/shown-text.js';
import type { SentEvent } from '../delivery/view.js';
import { firstPart } from '../delivery/split.js';
import { isStreamStep, steps } from '../delivery/txn.js';
import { type Clock, sleep } from '../time/clock.js';
import { HomeserverError } from '../matrix/homeserver.js';
import { ignoreAbort } from './failures.js';
import { type Outbox, Stale } from './outbox.js';
import { MOST_EDITS } from './rate/ramp.js';
import { spread } from './rate/spread.js';
import type { Streams } from './rate/streams.js';
import type { Source } from './source.js';

const PLACEHOLDER = '…';
/** Shown while the platform is out of reach, below what else is shown. */
export const OUT_OF_REACH = 'The agent platform is out of reach; I keep trying.';
/** An edit that is due and has nothing to show, or was left out, is looked at again after this. */
const LOOK_MS = 500;

/** What is known of a run when its streamer begins: of one that another replica began there is more. */
export interface RunSoFar {
  /** When it was first begun, wall-clock ms: the placeholder is due so long after that. */
  readonly since?: number;
  /** What is shown before the run says anything. */
  readonly text?: string;
}

/**
 * Shows a run that takes long: a placeholder (the anchor) after a while, then edits of it on a ramp. Cosmetic: a
 * placeholder or an edit that fails or is held back by the rate budget is left out, and the next shows the newest text;
 * a question to a person waits for its turn. An outage of the platform is told once it has lasted as long as a placeholder
 * is waited for, and in the placeholder from its beginning. No edit is begun once a final was read (PROTOCOL D3), and `stop` waits for
 * the one under way, so that none lands after the final.
 */
export class Streamer {
  private text: string;
  /** What our own last edit shows. */
  private shown: string | undefined;
  /** Monotonic ms since when the platform is out of reach. */
  private outage: number | undefined;
  private asks = false;
  private readonly stopped = new AbortController();
  private asked = new AbortController();
  private readonly loop: Promise<void>;
  private failure: Error | undefined;

  constructor(
    private readonly source: Source,
    private readonly outbox: Pick<Outbox, 'placeholder' | 'stream'>,
    private readonly clock: Clock,
    private readonly settings: {
      /** Ms without an answer after which the placeholder is sent; Infinity: never. */
      afterMs: number;
      /** Edits show the text so far. */
      streaming: boolean;
      streams: Streams;
      /** The room cannot be read up to now: nothing is sent (PROTOCOL D5). */
      isBehind?: () => boolean;
    },
    /** Ends the requests too: the process ends, or gives the source up. */
    signal: AbortSignal,
    { since, text = PLACEHOLDER }: RunSoFar = {},
  ) {
    this.text = text;
    // What the room says of an outage is believed until the platform is reached.
    if (this.standing() !== PLACEHOLDER) this.outage = -Infinity;
    const { afterMs } = settings;
    // Of another clock than ours, perhaps: it takes away at most the whole pause, and adds nothing.
    const gone = since === undefined ? 0 : Math.max(0, clock.now() - since);
    this.loop = Number.isFinite(afterMs)
      ? this.run(Math.max(0, afterMs - gone), signal).catch((error: unknown) => this.fail(error))
      : Promise.resolve();
  }

  /** What the agent has said so far; where that is not to be shown, the placeholder stands. */
  progress(text: string): void {
    this.text = this.settings.streaming && text !== '' ? text : PLACEHOLDER;
    this.asks = false;
  }

  /** A question to a person: it shows as soon as it can. */
  show(text: string): void {
    this.text = text;
    this.asks = true;
    this.asked.abort();
  }

  /** The platform is out of reach from now on, or is reached. */
  outOfReach(is: boolean): void {
    this.outage = is ? (this.outage ?? this.clock.monotonic()) : undefined;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.loop;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Kept for `stop`, which whoever owns the run awaits. */
  private fail(error: unknown): void {
    this.failure = error instanceof Error ? error : new Error(String(error));
  }

  private async run(afterMs: number, signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.stopped.signal]);
    let end: (() => void) | undefined;
    try {
      for (let pause = afterMs, looks = 0; ;) {
        await this.rest(pause, over);
        if (over.aborted || this.source.view().current !== undefined) return;
        const isSent = await this.look(signal, over);
        if (this.source.view().anchor !== undefined) end ??= this.settings.streams.begin();
        pause = isSent
          ? this.settings.streams.pauseMs(this.edits())
          : spread(LOOK_MS, this.source.id, ++looks);
      }
    } catch (error) {
      if (!over.aborted && !(error instanceof Stale)) throw error;
    } finally {
      end?.();
    }
  }

  /** Until the next look is due, or a question has come. */
  private async rest(ms: number, over: AbortSignal): Promise<void> {
    const asked = this.asked.signal;
    const early = this.source.view().anchor === undefined ? over : AbortSignal.any([over, asked]);
    await sleep(this.clock, ms, early).catch(ignoreAbort(early));
    if (asked.aborted) this.asked = new AbortController();
  }

  /** True where something was sent. What the homeserver does not take is left out. */
  private async look(signal: AbortSignal, over: AbortSignal): Promise<boolean> {
    if (this.settings.isBehind?.()) return false;
    try {
      return (await this.send(signal, over)) !== undefined;
    } catch (error) {
      if (!(error instanceof HomeserverError)) throw error;
      return false;
    }
  }

  private async send(signal: AbortSignal, over: AbortSignal): Promise<string | undefined> {
    const { source, outbox, asks } = this;
    const anchor = source.view().anchor;
    if (anchor === undefined) return outbox.placeholder(source, this.opening(), signal);
    const text = this.toShow();
    if (text === this.onShow() || (!asks && this.edits() >= MOST_EDITS)) return undefined;
    const body = firstPart(wellFormed(text));
    const sent = await outbox.stream(source, { anchor, body, ...(asks && { until: over }) }, signal);
    if (sent !== undefined) this.shown = text;
    return sent;
  }

  /** A short outage in the middle of a run is not told; what is told stands until the platform is reached. */
  private toShow(): string {
    const since = this.outage ?? Infinity;
    const isLong = this.clock.monotonic() - since >= this.settings.afterMs;
    const isTold = this.onShow().endsWith(OUT_OF_REACH);
    return isLong || (this.outage !== undefined && isTold) ? this.withOutage() : this.text;
  }

  private opening(): string {
    return this.outage === undefined ? PLACEHOLDER : firstPart(wellFormed(this.withOutage()));
  }

  private withOutage(): string {
    return this.text === PLACEHOLDER ? OUT_OF_REACH : `${this.text}\n\n${OUT_OF_REACH}`;
  }

  private onShow(): string {
    return this.shown ?? this.standing();
  }

  /** What the room shows of an outage, whichever replica told of it; else it counts as the placeholder. */
  private standing(): string {
    const isShown = ({ mark, redacted }: SentEvent) =>
      !redacted && (mark.step === steps.anchor || isStreamStep(mark.step));
    const body = this.source.events.findLast(isShown)?.body ?? '';
    return body.endsWith(OUT_OF_REACH) ? body : PLACEHOLDER;
  }

  /** Of this answer, by whichever replica: who takes it over goes on where the ramp was. */
  private edits(): number {
    const standing = this.source.events.filter(({ mark }) => isStreamStep(mark.step)).length;
    return Math.max(standing, this.source.streamed);
  }
}
