import type { Json } from '../documents/json.js';
import { joinAll } from '../documents/merge/join.js';
import type { FieldMap } from '../documents/record.js';
import { ruleOf } from '../documents/schemas/kinds.js';
import { nextStamp, type Stamp } from '../documents/stamp.js';
import type { Log } from '../telemetry/log.js';
import { ByAge } from './by-age.js';
import type { KeyedCounters } from './counters.js';
import type { NamespaceLimits } from './options.js';
import { latest, roundOfNext, standing, takenTwice } from './rounds.js';
import {
  placeOf,
  readRow,
  recordKey,
  saysTheSame,
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

/** The entries of one namespace in its documents: an index of what stands at each key, without the values. */
export class PersistentEntries {
  readonly #rows = new Map<string, Row[]>();
  readonly #order = new ByAge();
  readonly #unsaved: Unsaved;
  /** Rounds already counted as taken twice, by key. */
  readonly #twice = new Map<string, Set<number>>();

  constructor(private readonly context: PersistentContext) {
    this.#unsaved = new Unsaved(2 * context.limits.maxEntries);
  }

  /** Records that wait to be written. */
  get unsaved(): number {
    return this.#unsaved.size;
  }

  /** Entries that stand, at most those in view. */
  count(now: number): number {
    this.#expire(now);
    return Math.min(this.#order.size, this.#mostInView);
  }

  /** A window was opened: takes in what its document holds. */
  load(window: number, now: number): void {
    const { limits, rows } = this.context;
    const keys = new Set<string>();
    for (const text of rows.keys(window)) {
      const place = placeOf(limits.namespace, window, text);
      if (place === undefined) this.context.counters.badRows += 1;
      else keys.add(this.#take(place).key);
    }
    for (const key of keys) this.#place(key, now, 'loading');
  }

  /** A window was closed: nothing in it counts any more. */
  drop(window: number, now: number): void {
    for (const { place } of this.#unsaved.all()) if (place.window === window) this.#unsaved.delete(place);
    for (const [key, rows] of [...this.#rows]) {
      const left = rows.filter((row) => row.window !== window);
      if (left.length === rows.length) continue;
      if (left.length > 0) this.#rows.set(key, left);
      else {
        this.#rows.delete(key);
        this.#twice.delete(key);
      }
      this.#place(key, now, 'loading');
    }
  }

  /** A record was changed, by a peer or here. Gives the key, if it is one of this namespace. */
  touched(window: number, text: string, now: number): string | undefined {
    const place = placeOf(this.context.limits.namespace, window, text);
    if (place === undefined) {
      this.context.counters.badRows += 1;
      return undefined;
    }
    this.#take(place);
    this.#place(place.key, now, 'running');
    return place.key;
  }

  find(key: string, now: number): Found | undefined {
    const found = this.#standing(key, now);
    const value = found && valueOf(this.#read(found) ?? new Map());
    return found === undefined || value === undefined ? undefined : { at: found.at, value };
  }

  /** Oldest first, those in view. */
  keys(now: number): string[] {
    this.#expire(now);
    return this.#order.newest(this.#mostInView).map(({ key }) => key);
  }

  /** True when what stands afterwards is this. */
  register(
    key: string,
    { at, value, now, cause }: { at: number; value: Json; now: number; cause: string },
  ): boolean {
    const rows = this.#rows.get(key) ?? [];
    const round = roundOfNext(rows, at, this.#isLive(now));
    const place = { window: this.context.windows.of(at), round, key };
    const record = this.#read(place);
    const known = saysTheSame(record, at, value) && standing(rows, this.#isLive(now))?.at === at;
    if (!known) {
      this.#write(place, withEntry(record, { at, value, stamp: this.#stamp(rows, at, now), cause }), now);
    }
    const stands = this.#standing(key, now);
    return stands?.window === place.window && stands.round === round;
  }

  /** Ends the entry that stands; `taken` for one that is consumed. Gives what it was. */
  end(key: string, { now, cause, taken }: { now: number; cause: string; taken: boolean }): Found | undefined {
    const { windows, replica } = this.context;
    const found = this.find(key, now);
    const rows = this.#rows.get(key) ?? [];
    const [ends, last] = [standing(rows, this.#isLive(now)), latest(rows, this.#isLive(now))];
    if (found === undefined || ends === undefined || last === undefined) return undefined;
    const place = { window: windows.of(last.at), round: ends.round, key };
    const mark = {
      until: last.at + windows.life,
      now,
      stamp: this.#stamp(rows, now, now),
      cause,
      ...(taken && { taker: replica }),
    };
    this.#write(place, withMark(this.#read(place), mark), now);
    return found;
  }

  /** What must be done now and then: entries without a ttl go on, and what could not be written is tried again. */
  tend(now: number): void {
    this.#expire(now);
    this.#renew(now);
    this.#save(now);
  }

  #renew(now: number): void {
    const { windows } = this.context;
    if (windows.renewAfter === undefined) return;
    for (const { key, at } of this.#order.newest(this.#mostInView)) {
      if (now < at + windows.renewAfter) return;
      const found = this.#standing(key, now);
      const value = found && valueOf(this.#read(found) ?? new Map());
      if (found === undefined || value === undefined) continue;
      const place = { window: windows.of(now), round: found.round, key };
      // The same stamp: a renewal must not win over a newer value that is not known here yet.
      const { stamp, cause } = found;
      this.#write(place, withEntry(this.#read(place), { at: now, value, stamp, cause }), now);
    }
  }

  #save(now: number): void {
    for (const { place, record } of this.#unsaved.all()) {
      if (!this.context.rows.isOpen(place.window)) continue;
      this.#unsaved.delete(place);
      this.#write(place, record, now);
    }
  }

  #write(place: Place, record: FieldMap, now: number): void {
    const { rows, limits, counters, log } = this.context;
    const text = recordKey(limits.namespace, place);
    try {
      if (!rows.isOpen(place.window)) throw new Error(`window ${place.window} is not open`);
      const before = rows.read(place.window, text);
      rows.write(place.window, text, withoutGone(joined([record, before])));
      this.#unsaved.delete(place);
    } catch (error) {
      counters.persistenceErrors += 1;
      log.error(
        { err: error, namespace: limits.namespace, window: place.window },
        'an entry could not be written',
      );
      const before = this.#unsaved.at(place);
      const givenUp = this.#unsaved.set(place, withoutGone(joined([record, before])));
      if (givenUp !== undefined) counters.givenUp += 1;
    }
    this.#take(place);
    this.#place(place.key, now, 'running');
  }

  /** What stands in the document, and what waits to be written there. */
  #read(place: Place): FieldMap | undefined {
    const { rows, limits } = this.context;
    const versions = [rows.read(place.window, recordKey(limits.namespace, place)), this.#unsaved.at(place)];
    return versions.every((version) => version === undefined) ? undefined : joined(versions);
  }

  /** Reads a record into the index. */
  #take(place: Place): Place {
    const { windows, counters, log, limits } = this.context;
    const record = this.#read(place);
    const others = (this.#rows.get(place.key) ?? []).filter(
      ({ window, round }) => window !== place.window || round !== place.round,
    );
    if (record === undefined) {
      this.#rows.set(place.key, others);
      return place;
    }
    const row = readRow(
      place,
      record,
      (at) => windows.of(at) === place.window,
      () => {
        counters.badRows += 1;
        log.warn(
          { namespace: limits.namespace, window: place.window },
          'a row of a keyed store is malformed',
        );
      },
    );
    this.#rows.set(place.key, [...others, row]);
    return place;
  }

  /** Puts the key where its entry stands now. */
  #place(key: string, now: number, phase: 'loading' | 'running'): void {
    const rows = this.#rows.get(key) ?? [];
    const found = standing(rows, this.#isLive(now));
    this.#expire(now);
    const before = this.#isInView(key);
    if (found === undefined) this.#order.delete(key);
    else this.#order.set(key, found.at);
    if (!before && this.#isInView(key) && phase === 'running') {
      const out = this.#order.behind(this.#mostInView);
      if (out !== undefined) this.context.evicted(out.key);
    }
    for (const round of takenTwice(rows)) {
      const known = this.#twice.get(key) ?? new Set();
      if (known.has(round)) continue;
      this.#twice.set(key, known.add(round));
      if (phase === 'running') this.#countTwice();
    }
  }

  #countTwice(): void {
    const { counters, log, limits } = this.context;
    counters.consumedTwice += 1;
    log.warn({ namespace: limits.namespace }, 'two replicas consumed one entry while apart');
  }

  #standing(key: string, now: number): Registration | undefined {
    const found = standing(this.#rows.get(key) ?? [], this.#isLive(now));
    if (found === undefined) return undefined;
    return this.#isInView(key) ? found : undefined;
  }

  #isInView(key: string): boolean {
    return this.#order.has(key) && this.#order.newerThan(key) < this.#mostInView;
  }

  #expire(now: number): void {
    const isLive = this.#isLive(now);
    for (let one = this.#order.oldest(); one !== undefined && !isLive(one.at); one = this.#order.oldest()) {
      const found = standing(this.#rows.get(one.key) ?? [], isLive);
      if (found === undefined) this.#order.delete(one.key);
      else this.#order.set(one.key, found.at);
    }
  }

  #stamp(rows: readonly Row[], at: number, now: number): Stamp {
    const highest = rows.reduce<Stamp | undefined>(
      (so, row) => (row.highest === undefined ? so : Math.max(so ?? 0, row.highest)),
      undefined,
    );
    return nextStamp(at, now, highest);
  }

  #isLive(now: number): (at: number) => boolean {
    return (at) => now < at + this.context.windows.life;
  }

  get #mostInView(): number {
    const { limits } = this.context;
    return limits.class === 'cache' ? limits.maxEntries : Infinity;
  }
}

function joined(versions: readonly (FieldMap | undefined)[]): FieldMap {
  return (
    joinAll(
      versions.filter((version) => version !== undefined),
      ruleOf('keyed'),
    ) ?? new Map()
  );
}
