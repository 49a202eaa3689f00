import { type Clock, sleep } from '../time/clock.js';
import { HomeserverError } from '../matrix/homeserver.js';
import { type Outbox, Stale } from './outbox.js';
import type { Source } from './source.js';

/** Pause before the first edit, factor from edit to edit, and the longest pause (DESIGN §7: a ramp). */
const RAMP = { firstMs: 1000, factor: 1.5, mostMs: 10_000 };
const PLACEHOLDER = '…';

/**
 * Shows a run that takes long: a placeholder (the anchor) after a while, then edits of it on a ramp. Cosmetic: a
 * placeholder or an edit that fails or is held back by the rate budget is skipped, the final text never is.
 * None is begun once a final was read (PROTOCOL D3), and `stop` waits for the one under way.
 */
export class Streamer {
  private text = '';
  private shown = '';
  private n = 0;
  private readonly stopped = new AbortController();
  private readonly loop: Promise<void>;
  private failure: Error | undefined;

  constructor(
    private readonly source: Source,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
    afterMs: number,
    running: AbortSignal,
  ) {
    this.loop = Number.isFinite(afterMs)
      ? this.run(afterMs, running).catch((error: unknown) => this.fail(error))
      : Promise.resolve();
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
        pause = this.n === 0 ? RAMP.firstMs : Math.min(pause * RAMP.factor, RAMP.mostMs);
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
    await this.outbox.stream(this.source, anchor, this.n, this.text.slice(0, 15_000), signal);
  }
}
