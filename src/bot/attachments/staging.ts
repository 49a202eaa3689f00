import type { Clock } from '../../time/clock.js';
import { MOST_ATTACHMENTS } from '../../platform/attachments.js';
import type { Media } from './media.js';

/** A file waits so long for the prompt that it goes with, in time of the timeline. */
export const WAITS_MS = 30 * 60_000;
/** It stays in memory a little longer: clocks differ, and a prompt may be on its way for a while. */
const KEPT_MS = WAITS_MS + 10 * 60_000;
/** People in rooms of whom anything is kept; who was heard longest ago goes first. */
const MOST_PEOPLE = 2000;
/** Of one person in one room: enough to see that they are too many. */
const MOST_OF_ONE = MOST_ATTACHMENTS + 1;

interface Staged {
  media: Media;
  /** In the order in which this process took events in. */
  place: number;
  /** Monotonic ms. */
  at: number;
}

interface Waiting {
  room: string;
  items: Staged[];
  /** All that this person sent since a prompt of theirs was taken in by this process. */
  whole: boolean;
}

/**
 * Files that wait for the next prompt of their sender, in memory only: what they are called and where they are, never
 * their bytes. It spares looking into the room where nothing waits; which files go with a prompt is read from the
 * room's timeline, so that losing this loses nothing (docs/decisions/0021).
 */
export class Staging {
  private readonly people = new Map<string, Waiting>();
  private place = 0;
  /** Wall clock: everything since then is here, of whomever. */
  private wholeSince: number;

  constructor(private readonly clock: Clock) {
    this.wholeSince = clock.now();
  }

  /** The place of a prompt that this process takes in, among the files before and after it. */
  next(): number {
    this.place += 1;
    return this.place;
  }

  add(room: string, person: string, media: Media): void {
    const waiting = this.waiting(room, person);
    if (waiting.items.some((one) => one.media.event === media.event)) return;
    waiting.items.push({ media, place: this.next(), at: this.clock.monotonic() });
    if (waiting.items.length > MOST_OF_ONE) waiting.items.shift();
  }

  /** False where surely nothing waits for a prompt of that time. */
  mayHold(room: string, person: string, ts: number): boolean {
    this.forgetOld();
    const waiting = this.people.get(keyOf(room, person));
    if (waiting?.items.some(({ media }) => media.ts > ts - WAITS_MS) === true) return true;
    return waiting?.whole !== true && this.wholeSince > ts - KEPT_MS;
  }

  /** A prompt of that place took what waited. */
  taken(room: string, person: string, place: number): void {
    const waiting = this.waiting(room, person);
    waiting.items = waiting.items.filter((one) => one.place > place);
    waiting.whole = true;
  }

  redacted(room: string, event: string): void {
    for (const waiting of this.people.values())
      if (waiting.room === room) waiting.items = waiting.items.filter(({ media }) => media.event !== event);
  }

  /** How many files wait, and how large they say that they are. */
  count(): { items: number; bytes: number } {
    this.forgetOld();
    const all = [...this.people.values()].flatMap(({ items }) => items);
    return { items: all.length, bytes: all.reduce((sum, { media }) => sum + media.size, 0) };
  }

  private waiting(room: string, person: string): Waiting {
    const key = keyOf(room, person);
    const waiting = this.people.get(key) ?? { room, items: [], whole: false };
    // The one heard last stands last.
    this.people.delete(key);
    this.people.set(key, waiting);
    for (const [oldest, { items }] of this.people) {
      if (this.people.size <= MOST_PEOPLE) break;
      this.people.delete(oldest);
      if (items.length > 0) this.wholeSince = this.clock.now();
    }
    return waiting;
  }

  private forgetOld(): void {
    const [now, wall] = [this.clock.monotonic(), this.clock.now()];
    for (const waiting of this.people.values())
      waiting.items = waiting.items.filter(
        ({ at, media }) => now - at < KEPT_MS && wall - media.ts < 2 * KEPT_MS,
      );
  }
}

const keyOf = (room: string, person: string) => `${room} ${person}`;
