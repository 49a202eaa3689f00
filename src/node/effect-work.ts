import { z } from 'zod';
import type { ActorsPort } from '../actors/port.js';
import type { Channel } from '../sync/channel.js';
import type { Clock } from '../time/clock.js';

const TOPIC = 'effect-work';
const MOST = 1000;
const work = z.object({ effects: z.array(z.string().min(1).max(64)).max(MOST) });
/** What was heard longer ago says nothing any more, ms. */
const KEPT_MS = 30_000;

/** Which effects connected replicas are at work on, by their word. */
export class EffectWork implements NonNullable<ActorsPort['work']> {
  readonly stop: () => void;
  /** Least lately heard first. */
  readonly #heard = new Map<string, number>();

  constructor(
    private readonly channel: Channel,
    private readonly clock: Clock,
  ) {
    this.stop = channel.on(TOPIC, work, ({ effects }) => this.#hear(effects));
  }

  say(effects: readonly string[]): void {
    for (let from = 0; from < effects.length; from += MOST) {
      this.channel.broadcast(TOPIC, { effects: effects.slice(from, from + MOST) });
    }
  }

  heard(effect: string): number | undefined {
    return this.#heard.get(effect);
  }

  #hear(effects: readonly string[]): void {
    const now = this.clock.monotonic();
    for (const effect of effects) {
      this.#heard.delete(effect);
      this.#heard.set(effect, now);
    }
    for (const [effect, at] of this.#heard) {
      if (now - at <= KEPT_MS) return;
      this.#heard.delete(effect);
    }
  }
}
