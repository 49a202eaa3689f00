import type { Log } from '../telemetry/log.js';

/** From the request to stop to the end by force. O7 gives a replica 10 s to finish or pass on what it has begun. */
const hardStopMs = 15_000;

/**
 * The life of one process from start to signal. SIGTERM and SIGINT ask it to end, and so does the end of the
 * `understudy up` that started it; a second SIGINT ends it at once.
 */
export class Lifetime {
  private readonly controller = new AbortController();
  private readonly whenAsked: Promise<string>;

  constructor(private readonly log: Log) {
    this.whenAsked = new Promise((resolve) => {
      const ask = (why: string): void => {
        if (this.controller.signal.aborted) {
          if (why === 'SIGINT') process.exit(130);
          return;
        }
        this.log.info({ why }, 'stopping');
        this.controller.abort(new Error(`stopped by ${why}`));
        resolve(why);
      };
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ask(signal));
      if (process.connected) process.on('disconnect', () => ask('the end of its parent'));
    });
    // What nobody caught leaves the process in a state that nobody knows: it ends, and its supervisor starts it again.
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(event, (error: unknown) => {
        this.log.error({ error, event }, 'ending after an error that nothing handled');
        process.exit(1);
      });
    }
  }

  /** Aborted when the process was asked to end. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Waits for the request to end, or for `failure`; then runs `close`, by force after a deadline. */
  async run(start: () => Promise<{ close(): Promise<void> }>): Promise<number> {
    const starting = start();
    const service = await Promise.race([starting, this.whenAsked.then(() => undefined)]);
    if (!service) {
      this.forceEnd();
      // Asked to end while starting: what has been opened by then is closed in order.
      const late = await starting.catch((error: unknown) => {
        this.log.info({ error }, 'the start was cut off');
        return undefined;
      });
      await late?.close();
      return 0;
    }
    await this.whenAsked;
    this.forceEnd();
    await service.close();
    this.log.info({}, 'stopped');
    return 0;
  }

  private forceEnd(): void {
    setTimeout(() => {
      this.log.error({ afterMs: hardStopMs }, 'ending by force: something did not close in time');
      process.exit(1);
    }, hardStopMs).unref();
  }
}
