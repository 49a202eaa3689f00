import type { RunEvent } from '../client.js';
import type { RunEnd } from './runs.js';

/** The stream cannot go on as it began; its reader must ask again under the same key. */
export class FeedCut extends Error {
  constructor() {
    super('the feed was cut');
    this.name = 'FeedCut';
  }
}

/**
 * What one run says, from its start on, to any number of readers that join at any time. All that a reader
 * gets comes from one invocation: when another begins, those who have seen something of the earlier are cut.
 */
export class RunFeed {
  private events: RunEvent[] = [];
  private epoch = 0;
  private state: 'live' | 'ended' | 'cut' = 'live';
  private readonly wakers = new Set<() => void>();
  private reading = 0;

  get readers(): number {
    return this.reading;
  }

  get open(): boolean {
    return this.state === 'live';
  }

  push(event: RunEvent): void {
    if (this.state !== 'live') return;
    this.events.push(event);
    this.wake();
  }

  end(end: RunEnd): void {
    this.push(end);
    if (this.state === 'live') this.state = 'ended';
    this.wake();
  }

  /** Another invocation begins; what was said is void. */
  restart(): void {
    if (this.events.length === 0) return;
    this.events = [];
    this.epoch++;
    this.wake();
  }

  cut(): void {
    if (this.state === 'live') this.state = 'cut';
    this.wake();
  }

  /** Ends after the run's end, or quietly when `signal` is aborted. Throws {@link FeedCut}. */
  async *read(signal: AbortSignal): AsyncGenerator<RunEvent, void> {
    this.reading++;
    const wakeOnAbort = () => this.wake();
    signal.addEventListener('abort', wakeOnAbort);
    try {
      let { epoch } = this;
      let next = 0;
      while (!signal.aborted) {
        if (epoch !== this.epoch && next > 0) throw new FeedCut();
        epoch = this.epoch;
        const event = this.events[next];
        if (event) {
          next++;
          yield event;
        } else if (this.state === 'ended') return;
        else if (this.state === 'cut') throw new FeedCut();
        else await new Promise<void>((resolve) => this.wakers.add(resolve));
      }
    } finally {
      signal.removeEventListener('abort', wakeOnAbort);
      this.reading--;
    }
  }

  private wake(): void {
    for (const waker of this.wakers) waker();
    this.wakers.clear();
  }
}
