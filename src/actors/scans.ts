import type { ActorsPort } from './port.js';

/** Actors looked at in one go, so that a start does not block the process. */
const SLICE = 200;

/** Looks at many actors, one scan after the other, a slice at a time. What goes wrong with one is logged, and ends no scan. */
export class Scans {
  #ended: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly port: ActorsPort,
    private readonly look: (key: string) => void,
  ) {}

  /** @param keys asked for when the scan begins. */
  soon(keys: () => Iterable<string>): void {
    this.#ended = this.#ended
      .then(() => this.#scan(keys))
      .catch((error: unknown) => this.port.log.error({ err: error }, 'actors could not be looked through'));
  }

  /** Resolves when the scans begun so far have ended. */
  ready(): Promise<void> {
    return this.#ended;
  }

  close(): void {
    this.#closed = true;
  }

  async #scan(keys: () => Iterable<string>): Promise<void> {
    let looked = 0;
    for (const key of [...keys()]) {
      if (this.#closed) return;
      try {
        this.look(key);
      } catch (error) {
        this.port.log.error({ err: error, actor: key }, 'an actor could not be looked at');
      }
      looked += 1;
      if (looked % SLICE === 0) await new Promise<void>((resolve) => this.port.clock.after(0, resolve));
    }
  }
}
