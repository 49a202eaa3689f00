import type { Cancel, Clock } from '../time/clock.js';

/** Aborts `signal` when nobody called `extend` for a while, or when the caller's own signal does. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** The deadline, not the caller, ended it. */
  expired(): boolean;
  /** From now on `ms` more. */
  extend(ms: number): void;
  clear(): void;
}

export function deadline(clock: Clock, ms: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  let expired = false;
  let cancel: Cancel = () => undefined;
  const extend = (more: number) => {
    cancel();
    cancel = clock.after(more, () => {
      expired = true;
      controller.abort(new Error(`no answer within ${more} ms`));
    });
  };
  extend(ms);
  return {
    signal: outer ? AbortSignal.any([controller.signal, outer]) : controller.signal,
    expired: () => expired,
    extend,
    clear: () => cancel(),
  };
}
