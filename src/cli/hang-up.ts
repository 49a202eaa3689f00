/**
 * SIGHUP, from the first moment on: without a handler it ends a process, and whoever sends it to a relay that is
 * still starting wants its files read again. That is done once somebody is there to do it.
 */
export class HangUp {
  #isPending = false;
  #handle: (() => void) | undefined;
  readonly #heard = (): void => {
    if (this.#handle) this.#handle();
    else this.#isPending = true;
  };

  constructor() {
    process.on('SIGHUP', this.#heard);
  }

  follow(handle: () => void): void {
    this.#handle = handle;
    if (this.#isPending) handle();
    this.#isPending = false;
  }

  /** Until the process is over SIGHUP still does not end it: it is on its way out in good order. */
  close(): void {
    this.#handle = () => undefined;
  }
}
