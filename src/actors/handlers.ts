import type { Cancel, Clock } from '../time/clock.js';
import type { Effect } from './effect.js';
import { machineOf } from './key.js';
import type { ActorEvent } from './plan.js';

/**
 * Carries out an effect, idempotently by its id: it may be called again after a kill, and two replicas may be at it
 * at once. The event it returns, if any, is written in one change with the done mark.
 */
export type EffectHandler = (
  effect: Effect,
  context: { actor: string; signal: AbortSignal },
) => Promise<ActorEvent | void>;

export interface HandlerOptions {
  /**
   * Milliseconds after which the signal aborts and the attempt counts as failed: it is tried again, even beside one
   * that goes on in spite of its signal. Default 5 minutes.
   */
  timeoutMs?: number;
}

const TIMEOUT_MS = 5 * 60_000;
/** A timer takes no more. */
const MOST_TIMEOUT_MS = 2 ** 31 - 1;

/** Who carries out which effect here. */
export class Handlers {
  readonly #of = new Map<string, { handle: EffectHandler; timeoutMs: number }>();

  constructor(private readonly clock: Clock) {}

  /** @throws {RangeError} for a deadline that is none. */
  set(machine: string, effect: string, handle: EffectHandler, options: HandlerOptions = {}): void {
    const { timeoutMs = TIMEOUT_MS } = options;
    if (!(timeoutMs > 0 && timeoutMs <= MOST_TIMEOUT_MS)) {
      throw new RangeError(`timeoutMs is more than 0 and at most ${MOST_TIMEOUT_MS} ms, not ${timeoutMs}`);
    }
    this.#of.set(`${machine}/${effect}`, { handle, timeoutMs });
  }

  has(actor: string, effect: Effect): boolean {
    return this.#of.has(`${machineOf(actor)}/${effect.name}`);
  }

  /** Rejects when the handler does, or has not ended in time. */
  async call(actor: string, effect: Effect, closing: AbortSignal): Promise<ActorEvent | void> {
    const known = this.#of.get(`${machineOf(actor)}/${effect.name}`);
    if (known === undefined) throw new Error(`nobody carries out ${effect.name} of ${actor} here`);
    const { handle, timeoutMs } = known;
    const late = new AbortController();
    let cancel: Cancel = () => {};
    const timedOut = new Promise<never>((_, reject) => {
      cancel = this.clock.after(timeoutMs, () => {
        const error = new Error(`effect ${effect.name} was not carried out within ${timeoutMs} ms`);
        late.abort(error);
        reject(error);
      });
    });
    const signal = AbortSignal.any([closing, late.signal]);
    try {
      // A copy: its parameters may be those of the definition.
      return await Promise.race([handle(structuredClone(effect), { actor, signal }), timedOut]);
    } finally {
      cancel();
    }
  }
}
