import type { Json } from '../documents/json.js';
import { joinAll } from '../documents/merge/join.js';
import type { FieldMap } from '../documents/record.js';
import { ruleOf } from '../documents/schemas/kinds.js';
import { nextStamp, type Stamp } from '../documents/stamp.js';
import type { Log } from '../telemetry/log.js';
import type { KeyedCounters } from './counters.js';
import { EntryIndex } from './entry-index.js';
import type { NamespaceLimits } from './options.js';
import { latest, roundOfNext, standing } from './rounds.js';
import {
  placeOf,
  readRow,
  recordKey,
  saysTheSame,
  unknownIn,
  valueOf,
  withEntry,
  withMark,
  withoutGone,
  type Place,
  type Registration,
  type Row,
} from './row.js';
import { Unsaved } from './unsaved.js';
import type { WindowRows } from './window-rows.js';
import type { Windows } from './windows.js';

export interface PersistentContext {
  limits: NamespaceLimits;
  windows: Windows;
  rows: WindowRows;
  replica: string;
  counters: KeyedCounters;
  log: Log;
  /** An entry was pushed out of view by newer ones. */
  evicted(key: string): void;
}

/** What is found of a key: its value is hostile still. */
export interface Found {
  at: number;
  value: Json;
}

/** The entries of one namespace in its documents. */
export class PersistentEntries {
  readonly #index: EntryIndex;
  readonly #unsaved: Unsaved;

  constructor(private readonly context: PersistentContext) {
    const { limits, windows } = context;
    this.#unsaved = new Unsaved(2 * limits.maxEntries);
    this.#index = new EntryIndex({
      life: windows.life,
      mostInView: limits.class === 'cache' ? limits.maxEntries : Infinity,
      evicted: (key) => context.evicted(key),
      takenTwice: () => this.#countTwice(),
    });
  }

  /** Records that wait to be written. */
  get unsaved(): number {
    return this.#unsaved.size;
  }

  /** Entries that stand. */
  count(now: number): number {
    return this.#index.count(now);
  }

  /** A window was opened: takes in what its document holds. */
  load(window: number, now: number): void {
    const { limits, rows, counters } = this.context;
    const keys = new Set<string>();
    for (const text of rows.keys(window)) {
      const place = placeOf(limits.namespace, window, text);
      if (place === undefined) counters.badRows += 1;
      else {
        this.#take(place);
        keys.add(place.key);
      }
    }
    for (const key of keys) this.#index.settle(key, now, 'loading');
  }

  /** A window was closed: nothing in it counts any more. */
  drop(window: number, now: number): void {
    for (const { place } of this.#unsaved.all()) if (place.window === window) this.#unsaved.delete(place);
    this.#index.drop(window, now);
  }

  /** A record was changed by a peer. Gives the key, if it is one of this namespace. */
  touched(window: number, text: string, now: number): string | undefined {
    const place = placeOf(this.context.limits.namespace, window, text);
    if (place === undefined) {
      this.context.counters.badRows += 1;
      return undefined;
    }
    this.#take(place);
    this.#index.settle(place.key, now, 'running');
    return place.key;
  }

  find(key: string, now: number): Found | undefined {
    const found = this.#index.standing(key, now);
    return found && this.#valueAt(found);
  }

  /** Of those that stand, oldest first. */
  keys(now: number): string[] {
    return this.#index.inView(now).map(({ key }) => key);
  }

  /** True when what stands afterwards is this. */
  register(
    key: string,
    { at, value, now, cause }: { at: number; value: Json; now: number; cause: string },
  ): boolean {
    const rows = this.#index.rowsOf(key);
    const isLive = this.#index.isLive(now);
    const place = { window: this.context.windows.of(at), round: roundOfNext(rows, at, isLive), key };
    const record = this.#read(place);
    if (!saysTheSame(record, at, value) || standing(rows, isLive)?.at !== at) {
      this.#write(place, withEntry(record, { at, value, stamp: stampOf(rows, at, now), cause }), now);
    }
    const stands = this.#index.standing(key, now);
    return stands?.window === place.window && stands.round === place.round;
  }

  /** Ends the entry that stands; `taken` for one that is consumed. */
  end(key: string, { now, cause, taken }: { now: number; cause: string; taken: boolean }): boolean {
    const { windows, replica } = this.context;
    const rows = this.#index.rowsOf(key);
    const ends = this.#index.standing(key, now);
    const last = latest(rows, this.#index.isLive(now));
    if (ends === undefined || last === undefined) return false;
    const place = { window: windows.of(last.at), round: ends.round, key };
    const mark = {
      until: last.at + windows.life,
      now,
      stamp: stampOf(rows, now, now),
      cause,
      ...(taken && { taker: replica }),
    };
    this.#write(place, withMark(this.#read(place), mark), now);
    return true;
  }

  /** What must be done now and then: entries without a ttl go on, and what could not be written is tried again. */
  tend(now: number): void {
    this.#renew(now);
    for (const { place, record } of this.#unsaved.all()) {
      if (this.context.rows.isOpen(place.window)) this.#write(place, record, now);
    }
  }

  #renew(now: number): void {
    const { windows } = this.context;
    if (windows.renewAfter === undefined) return;
    for (const { key, at } of this.#index.inView(now)) {
      if (now < at + windows.renewAfter) return;
      const standing = this.#index.standing(key, now);
      const found = standing && this.#valueAt(standing);
      if (standing === undefined || found === undefined) continue;
      const place = { window: windows.of(now), round: standing.round, key };
      // The same stamp: a renewal must not win over a newer value that is not known here yet.
      const { stamp, cause } = standing;
      const unknown = unknownIn(this.#read(standing) ?? new Map());
      const record = joined([unknown, this.#read(place)]);
      this.#write(place, withEntry(record, { at: now, value: found.value, stamp, cause }), now);
    }
  }

  #write(place: Place, record: FieldMap, now: number): void {
    const { rows, limits, counters, log } = this.context;
    const { namespace } = limits;
    const text = recordKey(namespace, place);
    try {
      if (!rows.isOpen(place.window)) throw new Error(`window ${place.window} of ${namespace} is not open`);
      rows.write(place.window, text, withoutGone(joined([record, rows.read(place.window, text)])));
      this.#unsaved.delete(place);
    } catch (error) {
      counters.persistenceErrors += 1;
      log.error({ err: error, namespace, window: place.window }, 'an entry could not be written');
      const givenUp = this.#unsaved.set(place, withoutGone(joined([record, this.#unsaved.at(place)])));
      if (givenUp) counters.givenUp += 1;
    }
    this.#take(place);
    this.#index.settle(place.key, now, 'running');
  }

  #valueAt(found: Registration): Found | undefined {
    const value = valueOf(this.#read(found) ?? new Map());
    return value === undefined ? undefined : { at: found.at, value };
  }

  /** What stands in the document, and what waits to be written there. */
  #read(place: Place): FieldMap | undefined {
    const { rows, limits } = this.context;
    const versions = [rows.read(place.window, recordKey(limits.namespace, place)), this.#unsaved.at(place)];
    return versions.every((version) => version === undefined) ? undefined : joined(versions);
  }

  /** Reads a record into the index. */
  #take(place: Place): void {
    const { windows, counters, log, limits } = this.context;
    const bad = (): void => {
      counters.badRows += 1;
      log.warn({ namespace: limits.namespace, window: place.window }, 'a row of a keyed store is malformed');
    };
    const record = this.#read(place);
    const row = record && readRow(place, record, (at) => windows.of(at) === place.window, bad);
    this.#index.set(place, row);
  }

  #countTwice(): void {
    const { counters, log, limits } = this.context;
    counters.consumedTwice += 1;
    log.warn({ namespace: limits.namespace }, 'two replicas consumed one entry while apart');
  }
}

/** After all that is seen at the key. */
function stampOf(rows: readonly Row[], at: number, now: number): Stamp {
  const stamps = rows.map(({ highest }) => highest).filter((stamp) => stamp !== undefined);
  return nextStamp(at, now, stamps.length === 0 ? undefined : Math.max(...stamps));
}

function joined(versions: readonly (FieldMap | undefined)[]): FieldMap {
  const those = versions.filter((version) => version !== undefined);
  return joinAll(those, ruleOf('keyed')) ?? new Map();
}
