import type { Effect } from './effect.js';
import type { ActorLog } from './log.js';

/**
 * Effects of a log that no done mark is known of. What the log only added is looked at once, so that a long
 * generation costs no more per event than a short one; what it folded again, all of it.
 */
export class OpenEffects {
  readonly #open = new Map<string, Effect>();
  #looked = 0;
  #rewound = -1;

  constructor(private readonly log: ActorLog) {}

  /** @param isDone once true of an effect, it is so for ever. */
  all(isDone: (effect: Effect) => boolean): Effect[] {
    const { rewound } = this.log;
    if (rewound !== this.#rewound) {
      this.#open.clear();
      this.#looked = 0;
      this.#rewound = rewound;
      for (const effect of this.log.base?.effects ?? []) this.#open.set(effect.id, effect);
    }
    for (const effect of this.log.effectsFrom(this.#looked)) this.#open.set(effect.id, effect);
    this.#looked = this.log.events.length;
    for (const [id, effect] of this.#open) if (isDone(effect)) this.#open.delete(id);
    return [...this.#open.values()];
  }
}
