import { splitActorKey } from '../documents/actor-key.js';
import { kinds, type Kind } from '../documents/schemas/kinds.js';
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

  /** Looks these records up again. */
  renew(port: ActorsPort, records: Iterable<{ kind: Kind; key: string }>): void {
    for (const { kind, key } of records) {
      if (kind === 'base') {
        const actor = key.slice(kinds.base.prefix.length);
        if (port.provenance('base', key) === undefined) this.#begun.delete(actor);
        else this.#begun.add(actor);
      } else if (kind === 'event') {
        if (port.provenance('event', key) === undefined) this.#remove(key);
        else this.add(key);
      }
    }
  }

  #remove(recordKey: string): void {
    const split = splitActorKey(recordKey.slice(kinds.event.prefix.length));
    const known = split && this.#events.get(split.actor);
    if (split === undefined || known === undefined) return;
    known.delete(split.id);
    if (known.size === 0) this.#events.delete(split.actor);
  }

  ids(actor: string): Iterable<string> {
    return this.#events.get(actor) ?? [];
  }

  has(actor: string, id: string): boolean {
    return this.#events.get(actor)?.has(id) === true;
  }

  /** It has events, here or in its base. */
  exists(actor: string): boolean {
    return this.#events.has(actor) || this.#begun.has(actor);
  }

  actors(): Iterable<string> {
    return new Set([...this.#begun, ...this.#events.keys()]);
  }
}
