/** How far behind a sender's newest message another may still arrive over a slower relay. */
const windowSize = 4096;
const senderLimit = 256;

/** Which sequence numbers of one sender have been delivered; what fell out of the window counts as seen. */
class SeenWindow {
  #highest = -1;
  readonly #seen = new Set<number>();

  firstTime(seq: number): boolean {
    if (seq <= this.#highest - windowSize || this.#seen.has(seq)) return false;
    this.#seen.add(seq);
    this.#highest = Math.max(this.#highest, seq);
    if (this.#seen.size > 2 * windowSize) {
      for (const old of this.#seen) if (old <= this.#highest - windowSize) this.#seen.delete(old);
    }
    return true;
  }
}

/** Lets each (sender incarnation, sequence number) through once, whatever number of relays brings it. */
export class SeenMessages {
  readonly #senders = new Map<string, SeenWindow>();

  firstTime(sender: string, seq: number): boolean {
    const window = this.#senders.get(sender) ?? new SeenWindow();
    // Re-inserted at the end, so that the first key is always the one heard of longest ago.
    this.#senders.delete(sender);
    this.#senders.set(sender, window);
    if (this.#senders.size > senderLimit) {
      for (const oldest of this.#senders.keys()) {
        this.#senders.delete(oldest);
        break;
      }
    }
    return window.firstTime(seq);
  }
}
