import type { Cancel, Clock } from '../time/clock.js';

/** Questions to one relay that wait for their answer, each with a deadline. */
export class OpenRequests<Answer> {
  #last = 0;
  readonly #open = new Map<number, { resolve: (answer: Answer | undefined) => void; cancel: Cancel }>();

  constructor(private readonly clock: Clock) {}

  /** Resolves to undefined when no answer came within `timeoutMs`. */
  ask(timeoutMs: number, send: (request: number) => void): Promise<Answer | undefined> {
    const request = ++this.#last;
    return new Promise((resolve) => {
      const cancel = this.clock.after(timeoutMs, () => this.answered(request, undefined));
      this.#open.set(request, { resolve, cancel });
      send(request);
    });
  }

  answered(request: number, answer: Answer | undefined): void {
    const open = this.#open.get(request);
    if (!open) return;
    this.#open.delete(request);
    open.cancel();
    open.resolve(answer);
  }

  /** The connection is gone: nobody will answer. */
  giveUp(): void {
    for (const request of this.#open.keys()) this.answered(request, undefined);
  }
}
