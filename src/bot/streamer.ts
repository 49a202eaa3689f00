import { wellFormed } from '../delivery/shown-text.js';
import { firstPart } from '../delivery/split.js';
import { type Clock, sleep } from '../time/clock.js';
import { HomeserverError } from '../matrix/homeserver.js';
import { type Outbox, Stale } from './outbox.js';
import type { Source } from './source.js';

/** Pause before the first edit, factor from edit to edit, and the longest pause (DESIGN §7: a ramp). */
const RAMP = { firstMs: 1000, factor: 1.5, mostMs: 10_000 };
const PLACEHOLDER = '…';

/** What is known of a run when its streamer begins: of one that another replica began there is more. */
export interface RunSoFar {
  /** When it was first begun, wall-clock ms: the placeholder is due so long after that. */
  readonly since?: number;
  /** What is shown before the run says anything. */
  readonly text?: string;
}

/**
 * Shows a run that takes long: a placeholder (the anchor) after a while, then edits of it on a ramp. Cosmetic: a
 * placeholder or an edit that fails or is held back by the rate budget is skipped, the final text never is.
 * None is begun once a final was read (PROTOCOL D3), and `stop` waits for the one under way.
 */
export class Streamer {
  private text: string;
  private shown = PLACEHOLDER;
  private n = 0;
  private readonly stopped = new AbortController();
  private readonly loop: Promise<void>;
  private failure: Error | undefined;

  constructor(
    private readonly source: Source,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
    private readonly settings: {
      /** Ms without an answer after which the placeholder is sent; Infinity: never. */
      afterMs: number;
      /** Edits show the text so far. */
      streaming: boolean;
    },
    running: AbortSignal,
    { since, text = PLACEHOLDER }: RunSoFar = {},
  ) {
    this.text = text;
    const { afterMs } = settings;
    // Of another clock than ours, perhaps: it takes away at most the whole pause, and adds nothing.
    const gone = since === undefined ? 0 : Math.max(0, clock.now() - since);
    this.loop = Number.isFinite(afterMs)
      ? this.run(Math.max(0, afterMs - gone), running).catch((error: unknown) => this.fail(error))
      : Promise.resolve();
  }

  /** What the agent has said so far; where that is not to be shown, the placeholder stands. */
  progress(text: string): void {
    this.show(this.settings.streaming && text !== '' ? text : PLACEHOLDER);
  }

  show(text: string): void {
    this.text = text;
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

  private async run(afterMs: number, running: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([running, this.stopped.signal]);
    let pause = afterMs;
    while (!signal.aborted) {
      try {
        await sleep(this.clock, pause, signal);
        if (this.source.view().current !== undefined) return;
        await this.send(running);
        const longer = Math.max(pause, RAMP.firstMs) * RAMP.factor;
        pause = this.n === 0 ? RAMP.firstMs : Math.min(longer, RAMP.mostMs);
      } catch (error) {
        if (signal.aborted || error instanceof Stale) return;
        if (!(error instanceof HomeserverError)) throw error;
        pause = Math.max(pause, RAMP.firstMs);
      }
    }
  }

  private async send(signal: AbortSignal): Promise<void> {
    const anchor = this.source.view().anchor;
    if (anchor === undefined) {
      await this.outbox.placeholder(this.source, PLACEHOLDER, signal);
      return;
    }
    if (this.text === this.shown || this.outbox.held() > 0) return;
    this.n += 1;
    this.shown = this.text;
    await this.outbox.stream(this.source, anchor, this.n, firstPart(wellFormed(this.text)), signal);
  }
}
