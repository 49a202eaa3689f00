import type { z } from 'zod';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { assertKey, checkedTime, checkedValue } from './bounds.js';
import type { KeyedCounters } from './counters.js';
import { Memory } from './memory.js';
import type { NamespaceLimits } from './options.js';
import type { Found, PersistentEntries } from './persistent.js';
import { Room } from './room.js';

export interface RegisterOptions {
  /**
   * The time of the thing that the key names, milliseconds; default: now. Give it where there is one: two replicas that
   * register the same thing then make the same entry, and one that does so late makes none.
   */
  at?: number;
  /** What made the caller register it, as the id of a Matrix event; default: this replica. */
  cause?: string;
}

export interface KeyedEntry<V> {
  key: string;
  value: V;
  /** Milliseconds. */
  at: number;
}

export interface KeyedStoreContext<V> {
  limits: NamespaceLimits;
  shape: z.ZodType<V>;
  clock: Clock;
  log: Log;
  counters: KeyedCounters;
  replica: string;
  /** Absent where the namespace is not persistent. */
  persistent?: PersistentEntries;
  /** True once all that was written is on this disk. */
  flushed(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * The entries of one namespace (docs/decisions/0011). All verbs are synchronous: they read and write memory, and where
 * the namespace is persistent its documents in memory; the disk follows, and {@link flush} says when. What fails below
 * is logged and counted (`keyedCounters()` of the node), kept, and tried again: no verb throws for it.
 */
export class KeyedStore<V> {
  readonly #memory: Memory<V>;
  readonly #room: Room;

  constructor(private readonly context: KeyedStoreContext<V>) {
    const { limits, counters, persistent, log } = context;
    this.#room = new Room(limits, counters, log);
    const evicts = limits.class === 'cache' || persistent !== undefined;
    this.#memory = new Memory({ life: limits.life, maxEntries: limits.maxEntries, evicts }, () => {
      // Of a persistent namespace only a copy went.
      if (persistent === undefined) counters.evictions += 1;
    });
  }

  get namespace(): string {
    return this.context.limits.namespace;
  }

  /** Entries that stand. */
  get size(): number {
    const { persistent, clock } = this.context;
    const now = clock.now();
    if (persistent !== undefined) return persistent.count(now);
    this.#memory.expire(now);
    return this.#memory.size;
  }

  /** Changes that their document could not take yet: they wait in memory. */
  get unsaved(): number {
    return this.context.persistent?.unsaved ?? 0;
  }

  /**
   * Sets the entry of a key. False, and nothing set, when by its time it is over already.
   *
   * @throws {KeyedStoreError} `bad-key`, `bad-value`; `full` for another key of a durable namespace that holds all it may.
   */
  register(key: string, value: V, options: RegisterOptions = {}): boolean {
    const now = this.#checked(key);
    const { limits, shape, persistent, replica, counters } = this.context;
    const stored = checkedValue(limits.namespace, shape, value);
    const at = checkedTime(options.at ?? now, now);
    if (now >= at + limits.life) return false;
    if (this.#find(key, now) === undefined) this.#room.assertFor(this.size);
    const cause = options.cause ?? `keyed:${replica}`;
    const stands = persistent?.register(key, { at, value: stored, now, cause }) ?? true;
    // Another registration may stand, of a later round or time: memory holds what the documents say.
    if (stands) this.#memory.put(key, at, stored);
    else this.#memory.delete(key);
    counters.registered += 1;
    this.#room.taken(this.size);
    return true;
  }

  /**
   * Sets the entry of a key where none stands here. `value` is what stands now; undefined when by its time it would be
   * over already. Two replicas apart may both register: after the merge the later one stands.
   *
   * @throws {KeyedStoreError} as {@link register}.
   */
  registerIfAbsent(
    key: string,
    value: V,
    options: RegisterOptions = {},
  ): { registered: boolean; value: V | undefined } {
    const standing = this.#find(key, this.#checked(key));
    if (standing !== undefined) return { registered: false, value: standing.value };
    const registered = this.register(key, value, options);
    return { registered, value: registered ? this.#find(key, this.context.clock.now())?.value : undefined };
  }

  /**
   * The value that stands at a key: from memory, else once from the documents, and back into memory.
   *
   * @throws {KeyedStoreError} `bad-key`.
   */
  lookup(key: string): V | undefined {
    const found = this.#find(key, this.#checked(key));
    if (found === undefined) this.context.counters.misses += 1;
    else this.context.counters.hits += 1;
    return found?.value;
  }

  /**
   * Takes the entry: gives its value, and it never stands again, here or where this was heard of. Two replicas apart
   * may both take it; that is counted as `consumedTwice` when they meet. Call it after what it allows is on disk, or
   * await {@link flush} before that: a process killed in between has not taken it.
   *
   * @throws {KeyedStoreError} `bad-key`.
   */
  consume(key: string): V | undefined {
    const value = this.#end(key, true);
    if (value !== undefined) this.context.counters.consumed += 1;
    return value;
  }

  /**
   * Ends an entry without taking it; true if one stood.
   *
   * @throws {KeyedStoreError} `bad-key`.
   */
  delete(key: string): boolean {
    return this.#end(key, false) !== undefined;
  }

  /** All that stand, oldest first. */
  entries(): KeyedEntry<V>[] {
    const now = this.context.clock.now();
    const { persistent } = this.context;
    if (persistent === undefined) return [...this.#memory.entries(now)];
    return persistent.keys(now).flatMap((key) => {
      const found = persistent.find(key, now);
      const value = found && this.#parsed(found);
      return value === undefined ? [] : [{ key, value, at: (found as Found).at }];
    });
  }

  /** Deletes every entry that stands, and gives their number. What is registered elsewhere and not heard of yet stays. */
  clear(): number {
    const { persistent, clock } = this.context;
    const now = clock.now();
    const keys = persistent?.keys(now) ?? [...this.#memory.entries(now)].map(({ key }) => key);
    return keys.filter((key) => this.#ended(key, now, false)).length;
  }

  /**
   * True once all that was done so far is on this replica's disk; false when some of it could not be written (it is
   * kept, and tried again). Hangs while the disk fails; `node.storage()` says so. A namespace in memory alone has
   * nothing to write: true.
   */
  flush(): Promise<boolean> {
    return this.context.flushed();
  }

  /** Lets go of the namespace: what is pending is written, and the store is not to be used any more. */
  close(): Promise<void> {
    return this.context.close();
  }

  /** Called by the node when the document of a window was opened. */
  opened(window: number): void {
    this.context.persistent?.load(window, this.context.clock.now());
    this.#memory.clear();
  }

  /** Called by the node when a window was closed. */
  closed(window: number): void {
    this.context.persistent?.drop(window, this.context.clock.now());
    this.#memory.clear();
  }

  /** Called by the node when a record of a document was changed, here or by a peer. */
  touched(window: number, recordKey: string): void {
    const key = this.context.persistent?.touched(window, recordKey, this.context.clock.now());
    if (key !== undefined) this.#memory.delete(key);
  }

  /** Called by the node when newer entries pushed one out of view. */
  evicted(key: string): void {
    this.#memory.delete(key);
    this.context.counters.evictions += 1;
  }

  /** Called by the node now and then, and when a window was opened. */
  tend(): void {
    const now = this.context.clock.now();
    this.#memory.expire(now);
    this.context.persistent?.tend(now);
  }

  /** The time now, for a key that is one. */
  #checked(key: string): number {
    const { limits, clock } = this.context;
    assertKey(limits.namespace, key);
    return clock.now();
  }

  #find(key: string, now: number): { value: V } | undefined {
    const hit = this.#memory.get(key, now);
    if (hit !== undefined) return { value: hit };
    const { persistent, counters } = this.context;
    const found = persistent?.find(key, now);
    const value = found && this.#parsed(found);
    if (found === undefined || value === undefined) return undefined;
    counters.restored += 1;
    this.#memory.put(key, found.at, value);
    return { value };
  }

  #end(key: string, taken: boolean): V | undefined {
    const now = this.#checked(key);
    const found = this.#find(key, now);
    // A row of another shape is no entry here, and not ours to end.
    if (found === undefined) return undefined;
    this.#ended(key, now, taken);
    return found.value;
  }

  #ended(key: string, now: number, taken: boolean): boolean {
    const { persistent, replica } = this.context;
    const held = this.#memory.delete(key);
    const ended = persistent?.end(key, { now, cause: `keyed:${replica}`, taken }) ?? held;
    this.#room.taken(this.size);
    return ended;
  }

  #parsed({ value }: Found): V | undefined {
    const { shape, counters, log } = this.context;
    const parsed = shape.safeParse(value);
    if (parsed.success) return parsed.data;
    counters.badRows += 1;
    log.warn({ namespace: this.namespace }, 'a row of a keyed store has not the shape of its namespace');
    return undefined;
  }
}
