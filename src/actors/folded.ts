import { splitActorKey } from '../documents/actor-key.js';
import { kinds, tableOf, type Kind } from '../documents/schemas/kinds.js';
import { readBase } from './base.js';
import { eventOf } from './cut.js';
import type { LoggedEvent } from './event.js';
import { EventIndex } from './index-of-events.js';
import { machineOf } from './key.js';
import { ActorLog } from './log.js';
import { type CacheBounds, LogCache } from './log-cache.js';
import type { Machines } from './machines.js';
import type { ActorsPort } from './port.js';

/** Actors folded on demand from the documents: a cache of this process alone (PROTOCOL A3). */
export class FoldedActors {
  readonly index: EventIndex;
  readonly #logs: LogCache;

  constructor(
    private readonly port: ActorsPort,
    private readonly machines: Machines,
    /** Must stay in memory. */
    wanted: (key: string) => boolean,
    bounds?: CacheBounds,
  ) {
    this.#logs = new LogCache(wanted, bounds);
    this.index = new EventIndex(port);
  }

  log(key: string): ActorLog {
    const known = this.#logs.get(key);
    if (known !== undefined) return known;
    const stored = this.port.provenance('base', kinds.base.prefix + key)?.['base']?.value;
    const base = stored === undefined ? undefined : readBase(machineOf(key), this.machines, stored);
    const log = new ActorLog(key, this.machines, base);
    for (const id of this.index.ids(key)) {
      const event = this.read(key, id);
      if (event !== undefined) log.insert(event);
    }
    // Of one that left there is nothing to fold again, and there may be as many as a week had prompts.
    if (log.position().status !== 'archived')
      this.#logs.set(key, log, stored === undefined ? 0 : JSON.stringify(stored).length);
    return log;
  }

  /** Undefined while it is not in memory. */
  loaded(key: string): ActorLog | undefined {
    return this.#logs.get(key);
  }

  /** The event as it stands in the documents. */
  read(actor: string, id: string): LoggedEvent | undefined {
    const entry = this.port.provenance('event', `${kinds.event.prefix}${actor} ${id}`)?.['event'];
    return entry && eventOf(id, entry, this.port.count);
  }

  forget(key: string): void {
    this.#logs.delete(key);
  }

  /** What was folded without a version of its machine may now come to something else. */
  forgetMachine(id: string): void {
    for (const key of this.#logs.keys()) if (machineOf(key) === id) this.#logs.delete(key);
  }

  reload(): void {
    this.#logs.clear();
    this.index.rebuild(this.port);
  }

  /** These records stand otherwise, and with them their actors. */
  renew(records: readonly { kind: Kind; key: string }[], actors: Iterable<string>): void {
    for (const actor of actors) this.#logs.delete(actor);
    this.index.renew(this.port, records);
  }
}

/** The actors that records are of. */
export function actorsOf(records: Iterable<{ kind: Kind; key: string }>): Set<string> {
  const actors = new Set<string>();
  for (const { kind, key } of records) {
    const name = key.slice(tableOf(kind).prefix.length);
    if (kind === 'base') actors.add(name);
    else if (kind === 'event' || kind === 'done') actors.add(splitActorKey(name)?.actor ?? name);
  }
  return actors;
}
