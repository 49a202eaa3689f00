/** An event that was handed to a handler of `node.once` and is not known to be done. */
export interface HeardEvent {
  /** Of the handler. */
  readonly name: string;
  readonly id: string;
  readonly room: string;
  /** The event, as JSON. */
  readonly text: string;
  /** When it was sent, as its homeserver says; when it was heard, where that says nothing. Milliseconds. */
  readonly at: number;
  /** Runs of the handler that were begun here and ended by a death or an error. */
  attempts: number;
}

export const heardKey = ({ name, id }: Pick<HeardEvent, 'name' | 'id'>): string => `${name} ${id}`;

/** With so much heard the position goes no further; more comes with one /sync answer at most. */
const MOST_WAITING = 1_000;
const MOST_WAITING_BYTES = 8 << 20;
/** Nothing is kept beyond this, where nobody holds the position back: another storage is used. */
const MOST = 20_000;
/** Ids remembered as done here. */
const MOST_DONE = 1_000;

/** What this replica heard and does not know to be done, and what it did last; bounded. */
export class HeardEvents {
  readonly #heard = new Map<string, HeardEvent>();
  readonly #done = new Set<string>();
  #bytes = 0;
  #waiting: (() => void)[] = [];

  get size(): number {
    return this.#heard.size;
  }

  has(key: string): boolean {
    return this.#heard.has(key);
  }

  /** It was done here, lately. */
  isDone(key: string): boolean {
    return this.#done.has(key);
  }

  /** False when there is no room. */
  add(event: HeardEvent): boolean {
    if (this.#heard.size >= MOST) return false;
    this.#heard.set(heardKey(event), event);
    this.#bytes += event.text.length;
    return true;
  }

  /** It is known to be done, by whomever, or given up. */
  remove(key: string): void {
    const event = this.#heard.get(key);
    if (event === undefined) return;
    this.#heard.delete(key);
    this.#bytes -= event.text.length;
    if (!this.#isFull()) for (const go of this.#waiting.splice(0)) go();
  }

  /** The newest are remembered. */
  addDone(key: string): void {
    this.#done.delete(key);
    this.#done.add(key);
    const [first] = this.#done;
    if (this.#done.size > MOST_DONE && first !== undefined) this.#done.delete(first);
  }

  all(): HeardEvent[] {
    return [...this.#heard.values()];
  }

  done(): string[] {
    return [...this.#done];
  }

  /** Resolves when the position may go on, or when the signal is aborted. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#isFull() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  #isFull(): boolean {
    return this.#heard.size >= MOST_WAITING || this.#bytes >= MOST_WAITING_BYTES;
  }
}
