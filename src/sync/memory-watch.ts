import type { Cancel, Clock } from '../time/clock.js';

/** A connection as its memory sees it. */
export interface Holder {
  /** Bytes held for it. */
  held(): { bytes: number; backlog: number };
  /** Ends it when what it holds is too much for one. */
  look(): void;
  /** Ends it: what all hold is too much, and it holds the most. */
  tooMuch(): void;
}

const everyMs = 250;

/**
 * Keeps what connections hold within bounds, each for itself and all together: half a frame that never ends, and
 * what nobody reads, make no event by which they could be noticed.
 */
export function watchMemory(holders: Iterable<Holder>, clock: Clock, mostBytes: number): Cancel {
  return clock.every(everyMs, () => {
    for (const holder of holders) holder.look();
    const all = [...holders].map((holder) => ({ holder, bytes: holder.held().bytes }));
    let total = all.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total <= mostBytes) return;
    for (const { holder, bytes } of all.sort((a, b) => b.bytes - a.bytes)) {
      if (total <= mostBytes) return;
      holder.tooMuch();
      total -= bytes;
    }
  });
}
