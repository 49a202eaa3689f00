import type { Clock } from '../../time/clock.js';

/**
 * Waiting for something in the database: woken at once by a change in this process, and looking every
 * `pollMs` for one by another.
 */
export class Signals {
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(
    private readonly clock: Clock,
    private readonly pollMs: number,
  ) {}

  notify(topic: string): void {
    const woken = this.waiting.get(topic);
    this.waiting.delete(topic);
    for (const wake of woken ?? []) wake();
  }

  /** Resolves to the first defined result of `look`; rejects with the signal's reason once it is aborted. */
  async until<T>(topic: string, look: () => Promise<T | undefined>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      // Listening begins before looking, or a change in between would be slept over.
      const change = this.next(topic, signal);
      try {
        const found = await look();
        if (found !== undefined) return found;
        await change.happened;
      } finally {
        change.forget();
      }
    }
  }

  private next(topic: string, signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    let wake: () => void = () => undefined;
    const happened = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const waiters = this.waiting.get(topic) ?? new Set();
    this.waiting.set(topic, waiters.add(wake));
    const cancelPoll = this.clock.after(this.pollMs, wake);
    signal.addEventListener('abort', wake);
    const forget = () => {
      cancelPoll();
      signal.removeEventListener('abort', wake);
      waiters.delete(wake);
      if (waiters.size === 0 && this.waiting.get(topic) === waiters) this.waiting.delete(topic);
    };
    return { happened, forget };
  }
}
