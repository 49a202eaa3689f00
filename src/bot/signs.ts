import type { Homeserver } from '../matrix/homeserver.js';
import { type Clock, sleep } from '../time/clock.js';
import { ignoreAbort } from './failures.js';
import type { Source } from './source.js';

/**
 * A run that is over sooner is not announced. The homeserver ends a typing notice itself after `timeoutMs`, which is all
 * that a replica leaves behind that was killed or frozen.
 */
export const TYPING = { afterMs: 300, againMs: 10_000, timeoutMs: 15_000 };
const DEADLINE_MS = 3000;

/**
 * Tells people that they were heard: a read receipt when their prompt is taken up, a typing notice while an agent thinks.
 * Courtesies: no answer waits for them, and one that fails is counted and not tried again.
 */
export class Signs {
  private readonly ended = new AbortController();
  private readonly underWay = new Set<Promise<void>>();

  constructor(
    private readonly deps: {
      homeserver: Pick<Homeserver, 'typing' | 'readReceipt'>;
      clock: Clock;
      /** The account's sends are held back, or were: then there are none of these. */
      isTight: () => boolean;
      happened?: (event: string, outcome: string) => void;
    },
  ) {}

  /** The prompt was taken up. */
  read(source: Source): void {
    const { homeserver } = this.deps;
    this.track(this.try('receipt', (signal) => homeserver.readReceipt(source.ref.room, source.id, signal)));
  }

  /** Shows the bot as typing in the source's room, until the function is called that it returns. */
  typing(source: Source): () => void {
    const over = new AbortController();
    this.track(this.type(source, AbortSignal.any([over.signal, this.ended.signal])));
    return () => over.abort();
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    this.ended.abort();
    await Promise.all(this.underWay);
  }

  /** One request at a time, so that the one that ends the notice cannot be overtaken. */
  private async type(source: Source, over: AbortSignal): Promise<void> {
    const { homeserver, clock } = this.deps;
    const say = (on: boolean) =>
      this.try('typing', (signal) => homeserver.typing(source.ref.room, on, TYPING.timeoutMs, signal));
    let isSaid = false;
    for (let pause = TYPING.afterMs; ; pause = TYPING.againMs) {
      await sleep(clock, pause, over).catch(ignoreAbort(over));
      if (over.aborted) break;
      if (source.waiting) continue;
      isSaid = true;
      await say(true);
    }
    if (isSaid) await say(false);
  }

  private async try(what: string, call: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, isTight, happened } = this.deps;
    if (isTight() || this.ended.signal.aborted) return happened?.(what, 'skipped');
    const late = new AbortController();
    const cancel = clock.after(DEADLINE_MS, () => late.abort());
    try {
      await call(AbortSignal.any([late.signal, this.ended.signal]));
      happened?.(what, 'ok');
    } catch {
      happened?.(what, 'failed');
    } finally {
      cancel();
    }
  }

  private track(work: Promise<void>): void {
    this.underWay.add(work);
    void work.finally(() => this.underWay.delete(work));
  }
}
