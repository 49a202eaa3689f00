import { canonicalJson, type Json } from '../documents/json.js';
import type { Log } from '../telemetry/log.js';
import type { LoggedEvent } from './event.js';
import type { ActorSnapshot } from './snapshot.js';

/** What moved an actor, here or on another replica. */
export interface ActorChange {
  readonly key: string;
  /**
   * Undefined when no event of its own moved the actor: a generation was changed under it, or an event that was told
   * before turned out to stand elsewhere, because two replicas wrote it and the lower stamp counts.
   */
  readonly event: LoggedEvent | undefined;
  readonly from: ActorSnapshot;
  readonly to: ActorSnapshot;
  /** It came after an event that it precedes, and was folded in its place. */
  readonly late: boolean;
}

/** May be async; what it rejects with is logged, and nobody waits for it. */
export type ActorHandler = (change: ActorChange) => unknown;

interface Subscription {
  readonly handle: ActorHandler;
}

/**
 * Who hears of which actor. What is to be told is noted first, and told when everything that came together has been
 * taken in: so a subscriber that sends an event plans it on all of it, and every subscriber hears of every change
 * once, in one order.
 */
export class Subscribers {
  readonly #of = new Map<string, Set<Subscription>>();
  readonly #noted: { to: readonly Subscription[]; change: ActorChange }[] = [];
  #telling = false;

  constructor(private readonly log: Log) {}

  has(key: string): boolean {
    return this.#of.has(key);
  }

  keys(): string[] {
    return [...this.#of.keys()];
  }

  /** Hears of what is noted from now on. */
  add(key: string, handle: ActorHandler): () => void {
    const subscription = { handle };
    this.#of.set(key, (this.#of.get(key) ?? new Set()).add(subscription));
    return () => {
      const all = this.#of.get(key);
      all?.delete(subscription);
      if (all?.size === 0) this.#of.delete(key);
    };
  }

  note(change: ActorChange): void {
    const to = this.#of.get(change.key);
    if (to !== undefined) this.#noted.push({ to: [...to], change });
  }

  /** No event of its own moved the actor; nothing is noted where it stands as it stood. */
  noteMove(key: string, from: ActorSnapshot, to: ActorSnapshot): void {
    if (from === to || textOf(from) === textOf(to)) return;
    this.note({ key, event: undefined, from, to, late: false });
  }

  /** Tells what is noted, and what is noted meanwhile. Called by a subscriber, it leaves that to the one under way. */
  tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#noted.shift(); next !== undefined; next = this.#noted.shift()) {
      for (const subscription of next.to) {
        if (this.#of.get(next.change.key)?.has(subscription) === true) this.#call(subscription, next.change);
      }
    }
    this.#telling = false;
  }

  #call({ handle }: Subscription, change: ActorChange): void {
    const failed = (error: unknown) =>
      this.log.error({ err: error, actor: change.key }, 'a subscriber of an actor threw');
    try {
      const ended = handle(change);
      if (ended instanceof Promise) ended.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

const textOf = (snapshot: ActorSnapshot): string => canonicalJson(snapshot as unknown as Json);
