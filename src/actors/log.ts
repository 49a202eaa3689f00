import { canonicalJson } from '../documents/json.js';
import { machineOf } from './key.js';
import type { Base } from './base.js';
import type { Effect } from './effect.js';
import { compareEvents, type LoggedEvent } from './event.js';
import { step, type Step } from './fold.js';
import { frozenPosition } from './frozen.js';
import type { Machines } from './machines.js';
import type { Position } from './position.js';

/** A fold begins again from a position kept every so many events, when an event comes late. */
const KEEP_EVERY = 16;

/** What one event did, for history. */
export interface Transition {
  readonly event: LoggedEvent;
  readonly from: Position;
  readonly to: Position;
  readonly outcome: Step['outcome'];
  readonly effects: readonly Effect[];
}

/**
 * One actor's events in (stamp, id) order (PROTOCOL A2) and what they come to, folded from the base of its
 * generation. The folded prefix is a cache of this process alone (A3): an event that comes late folds again from
 * its place.
 */
export class ActorLog {
  readonly #events: LoggedEvent[] = [];
  readonly #byId = new Map<string, LoggedEvent>();
  /** What each folded event yields; its length is how far the fold has come. */
  readonly #effects: (readonly Effect[])[] = [];
  readonly #positions = new Map<number, Position>();
  #rewound = 0;
  #bytes = 0;

  constructor(
    readonly key: string,
    private readonly machines: Machines,
    readonly base: Base | undefined,
  ) {
    this.#positions.set(-1, frozenPosition(this.start));
  }

  /** Where its generation begins. */
  get start(): Position {
    return this.base?.position ?? { status: 'unbegun', machine: machineOf(this.key) };
  }

  /**
   * Takes an event in, as its record has it. Undefined when it counts already, at a lower stamp or just so, here or
   * in the base; otherwise whether it stands before another that was here, and whether it stood here already,
   * as it was written elsewhere. Of two writes at one stamp the record's
   * merge rule decides, so that what it says now replaces what it said.
   */
  insert(event: LoggedEvent): { late: boolean; replaced: boolean } | undefined {
    const known = this.#byId.get(event.id);
    if (known === undefined ? this.base?.absorbed(event.id, event.stamp) === true : stands(known, event))
      return undefined;
    if (known !== undefined) this.#cut(this.#events.indexOf(known), 1);
    const index = this.#placeOf(event);
    this.#byId.set(event.id, event);
    this.#cut(index, 0, event);
    return { late: index < this.#events.length - 1, replaced: known !== undefined };
  }

  /** About what its events take in memory; not what they come to. */
  get bytes(): number {
    return this.#bytes;
  }

  get events(): readonly LoggedEvent[] {
    return this.#events;
  }

  has(id: string): boolean {
    return this.#byId.has(id) || this.base?.absorbed(id) === true;
  }

  /** The highest stamp of its events, or of what the base took in: a new event comes after it. */
  get top(): number | undefined {
    return this.#events.at(-1)?.stamp ?? this.base?.stamp;
  }

  position(): Position {
    this.#fold();
    return this.#positions.get(this.#events.length - 1) ?? this.start;
  }

  /** Everything that the fold yields, done or not (PROTOCOL A1). */
  *effects(): Iterable<Effect> {
    if (this.base !== undefined) yield* this.base.effects;
    yield* this.effectsFrom(0);
  }

  /** What its events from an index on yield. */
  *effectsFrom(index: number): Iterable<Effect> {
    this.#fold();
    for (let at = index; at < this.#effects.length; at += 1) yield* this.#effects[at] ?? [];
  }

  /** How often events that were folded had to be folded again: what they yielded may be another now. */
  get rewound(): number {
    return this.#rewound;
  }

  /** What one more event would do. */
  preview(event: LoggedEvent): Step {
    return step(this.key, this.machines, this.position(), event);
  }

  /** Every event with what it did, folded anew from the start. */
  *transitions(): Iterable<Transition> {
    let from = this.start;
    for (const event of this.#events) {
      const { position: to, effects, outcome } = step(this.key, this.machines, from, event);
      yield { event, from, to, outcome, effects };
      from = to;
    }
  }

  #fold(): void {
    const from = this.#effects.length;
    let position = this.#positions.get(from - 1);
    if (from === this.#events.length && position !== undefined) return;
    let index = from;
    while (position === undefined) position = this.#positions.get(--index - 1);
    for (; index < this.#events.length; index += 1) {
      const event = this.#events[index] as LoggedEvent;
      const result = step(this.key, this.machines, position, event);
      position = result.position;
      this.#effects[index] = result.effects;
      this.#positions.set(index, position);
      if ((index - 1) % KEEP_EVERY !== KEEP_EVERY - 1 && index > 0) this.#positions.delete(index - 1);
    }
  }

  /** Changes the list at an index and forgets what was folded from there on. */
  #cut(index: number, remove: number, ...add: LoggedEvent[]): void {
    const removed = this.#events.splice(index, remove, ...add);
    for (const event of add) this.#bytes += bytesOf(event);
    for (const event of removed) this.#bytes -= bytesOf(event);
    if (this.#effects.length <= index) return;
    this.#effects.length = index;
    this.#rewound += 1;
    for (const at of this.#positions.keys()) if (at >= index) this.#positions.delete(at);
  }

  #placeOf(event: LoggedEvent): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareEvents(this.#events[middle] as LoggedEvent, event) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Objects and the entries of maps that hold an event. */
const EVENT_BYTES = 400;

const bytesOf = ({ id, type, data }: LoggedEvent): number =>
  EVENT_BYTES + id.length + type.length + (data === undefined ? 0 : JSON.stringify(data).length);

const stands = (known: LoggedEvent, event: LoggedEvent): boolean =>
  known.stamp < event.stamp || (known.stamp === event.stamp && contentOf(known) === contentOf(event));

const contentOf = ({ type, ts, data, late = false }: LoggedEvent): string =>
  canonicalJson([type, ts, data ?? null, late]);
