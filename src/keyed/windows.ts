import type { DocumentName } from '../documents/ids.js';
import { LONGEST_TTL_MS } from './options.js';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;

/** Clocks of two replicas, each wrong by up to an hour, differ by so much at most. */
export const CLOCKS_APART_MS = 2 * HOUR_MS;

/** Part of the data format: the name stands in document ids. */
const WIDTHS = [
  { name: '6h', ms: 6 * HOUR_MS },
  { name: '1d', ms: DAY_MS },
  { name: '7d', ms: 7 * DAY_MS },
  { name: '91d', ms: 91 * DAY_MS },
] as const;

/** How a namespace is divided into windows of time, one document each (docs/decisions/0011). */
export class Windows {
  readonly #width: (typeof WIDTHS)[number];
  /** How long an entry lives, milliseconds. */
  readonly life: number;
  /** Entries older than this are registered again, so that they go on: milliseconds, or undefined. */
  readonly renewAfter: number | undefined;

  constructor(
    readonly namespace: string,
    ttl: number,
  ) {
    this.life = Math.min(ttl, LONGEST_TTL_MS);
    this.renewAfter = ttl === Infinity ? LONGEST_TTL_MS / 2 : undefined;
    this.#width = WIDTHS.find(({ ms }) => ms >= this.life) ?? WIDTHS[3];
  }

  /** The window that a time is in. */
  of(at: number): number {
    return Math.floor(at / this.#width.ms);
  }

  documentOf(window: number): DocumentName {
    return { kind: 'keyed', index: window, generation: 0, cut: `${this.#width.name}.${this.namespace}` };
  }

  /**
   * When nothing in the window counts any more: its last entry is over after `life`, and whatever a mark in it covers
   * after twice that; and a clock may be set back.
   */
  overAt(window: number): number {
    return (window + 1) * this.#width.ms + 2 * this.life + CLOCKS_APART_MS;
  }

  /** The windows that are open at a time, also for entries of clocks that are ahead. */
  openAt(now: number): number[] {
    const oldest = this.of(now - 2 * this.life - CLOCKS_APART_MS);
    const newest = this.of(now + CLOCKS_APART_MS);
    const windows = Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index);
    return windows.filter((window) => window >= 0 && now < this.overAt(window));
  }
}
