/**
 * Work that runs once at a time, and whose result shows what stood when it was asked for: who asks while it runs gets
 * the next run, which all who ask meanwhile share. It is made with what the first of them asked.
 */
export class SharedNext<Asked, Result> {
  #running: Promise<Result> | undefined;
  #next: Promise<Result> | undefined;

  /** `earlierFailed` is told what stood in the way of a next run; whoever asked for it hears of it as well. */
  constructor(
    private readonly work: (asked: Asked) => Promise<Result>,
    private readonly earlierFailed: (error: unknown) => void,
  ) {}

  get isBusy(): boolean {
    return this.#running !== undefined || this.#next !== undefined;
  }

  /** The last that was asked for and has not ended; undefined: none. */
  get last(): Promise<Result> | undefined {
    return this.#next ?? this.#running;
  }

  run(asked: Asked): Promise<Result> {
    // Between the end of one and the beginning of the next there is a moment with neither: what waits goes first.
    if (!this.isBusy) return this.#begin(asked);
    this.#next ??= (this.#running ?? Promise.resolve()).catch(this.earlierFailed).then(() => {
      this.#next = undefined;
      return this.#begin(asked);
    });
    return this.#next;
  }

  #begin(asked: Asked): Promise<Result> {
    this.#running = this.work(asked).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }
}
