import { splitActorKey } from '../documents/actor-key.js';
import { kinds } from '../documents/schemas/kinds.js';
import type { ActorsPort } from './port.js';

/** Which events each actor has, by id: rebuilt from the documents, kept by their changes. In memory only. */
export class EventIndex {
  readonly #events = new Map<string, Set<string>>();
  readonly #begun = new Set<string>();

  constructor(port: ActorsPort) {
    this.rebuild(port);
  }

  rebuild(port: ActorsPort): void {
    this.#events.clear();
    this.#begun.clear();
    for (const key of port.keys('base')) this.#begun.add(key.slice(kinds.base.prefix.length));
    for (const key of port.keys('event')) this.add(key);
  }

  /** Undefined for a key that is none of an event, or one known already. */
  add(recordKey: string): { actor: string; id: string } | undefined {
    const split = splitActorKey(recordKey.slice(kinds.event.prefix.length));
    if (split === undefined) return undefined;
    const known = this.#events.get(split.actor);
    if (known === undefined) this.#events.set(split.actor, new Set([split.id]));
    else known.add(split.id);
    return split;
  }

  ids(actor: string): Iterable<string> {
    return this.#events.get(actor) ?? [];
  }

  /** It has events, here or in its base. */
  exists(actor: string): boolean {
    return this.#events.has(actor) || this.#begun.has(actor);
  }

  actors(): Iterable<string> {
    return new Set([...this.#begun, ...this.#events.keys()]);
  }
}
