import { splitActorKey } from '../documents/actor-key.js';
import { kinds } from '../documents/schemas/kinds.js';
import type { Write } from '../documents/write.js';
import { compareEvents, type LoggedEvent } from './event.js';

interface Held {
  readonly events: readonly LoggedEvent[];
  readonly until: Promise<void>;
}

/**
 * Events that were planned and stand in no document yet, because their shard waits for its next generation. What is
 * planned meanwhile comes after them, as it would if they stood.
 */
export class Waiting {
  readonly #of = new Map<string, Set<Held>>();

  /** @param until settles when they stand, or never will. */
  hold(writes: readonly Write[], stands: (actor: string, id: string) => boolean, until: Promise<void>): void {
    const events = new Map<string, LoggedEvent[]>();
    for (const write of writes) {
      const split = write.kind === 'event' && splitActorKey(write.key.slice(kinds.event.prefix.length));
      if (split === false || split === undefined || stands(split.actor, split.id)) continue;
      const fields = write.fields['event'] as unknown as Pick<LoggedEvent, 'type' | 'ts' | 'data'>;
      const event = { ...fields, id: split.id, stamp: write.stamp ?? 0 };
      events.set(split.actor, [...(events.get(split.actor) ?? []), event]);
    }
    for (const [actor, all] of events) this.#hold(actor, { events: all, until });
  }

  /** In the order of the fold. */
  of(actor: string): LoggedEvent[] {
    const held = this.#of.get(actor);
    if (held === undefined) return [];
    return [...held].flatMap(({ events }) => events).sort(compareEvents);
  }

  /** Resolves when all that waits for an actor stands, and is durable; rejects when some of it never will. */
  async stand(actor: string): Promise<void> {
    await Promise.all([...(this.#of.get(actor) ?? [])].map(({ until }) => until));
  }

  #hold(actor: string, held: Held): void {
    const all = this.#of.get(actor) ?? new Set();
    this.#of.set(actor, all.add(held));
    const forget = () => {
      all.delete(held);
      if (all.size === 0 && this.#of.get(actor) === all) this.#of.delete(actor);
    };
    held.until.then(forget, forget);
  }
}
