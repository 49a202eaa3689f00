/** Holds callers back while it is closed, and fails them all when it never opens again. */
export class Gate {
  #waiting: { opened: Promise<void>; open: () => void; fail: (reason: Error) => void } | undefined;
  #failed: Error | undefined;

  /** Resolves when it opens; undefined while it is open. */
  opened(): Promise<void> | undefined {
    return this.#waiting?.opened;
  }

  close(): void {
    if (this.#waiting !== undefined) return;
    let open = (): void => {};
    let fail = (_reason: Error): void => {};
    const opened = new Promise<void>((resolve, reject) => {
      open = resolve;
      fail = reject;
    });
    // Whoever waits hears of a failure; a gate that nobody waits at has nobody to tell.
    opened.catch(() => undefined);
    this.#waiting = { opened, open, fail };
    if (this.#failed !== undefined) fail(this.#failed);
  }

  open(): void {
    this.#waiting?.open();
    this.#waiting = undefined;
  }

  /** Whoever waits now or later is told the reason. */
  fail(reason: Error): void {
    this.#failed = reason;
    this.#waiting?.fail(reason);
  }
}
