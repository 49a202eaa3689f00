import type { Sender } from './channel.js';

/** Who each relay says is connected, and the union of it. */
export class Presence<Relay> {
  readonly #byRelay = new Map<Relay, Map<string, Sender>>();
  #union: ReadonlyMap<string, Sender> = new Map();

  /** A relay's whole list, at its welcome. */
  replace(relay: Relay, present: Sender[]): void {
    this.#byRelay.delete(relay);
    this.#byRelay.set(relay, new Map(present.map((sender) => [sender.replica, sender])));
    this.#join();
  }

  joined(relay: Relay, sender: Sender): void {
    const present = this.#byRelay.get(relay);
    if (!present) return;
    present.set(sender.replica, sender);
    this.#join(sender);
  }

  /** Of an older incarnation than the one that is there: says nothing about the newer. */
  gone(relay: Relay, sender: Sender): void {
    const present = this.#byRelay.get(relay);
    if (present?.get(sender.replica)?.incarnation !== sender.incarnation) return;
    present.delete(sender.replica);
    this.#join();
  }

  lost(relay: Relay): void {
    this.#byRelay.delete(relay);
    this.#join();
  }

  all(): ReadonlyMap<string, Sender> {
    return this.#union;
  }

  /** Where relays name different incarnations of a replica, the one heard of last is alive. */
  #join(newest?: Sender): void {
    const before = this.#union;
    const union = new Map<string, Sender>();
    for (const present of this.#byRelay.values()) {
      for (const sender of present.values()) {
        const known = before.get(sender.replica)?.incarnation;
        if (!union.has(sender.replica) || sender.incarnation === known) union.set(sender.replica, sender);
      }
    }
    if (newest) union.set(newest.replica, newest);
    this.#union = union;
  }
}
