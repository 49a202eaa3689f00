import * as A from '@automerge/automerge';
import { expect } from 'vitest';
import { KeyedStoreError } from '../../../src/keyed/errors.js';
import { Windows } from '../../../src/keyed/windows.js';
import { settle, SimulatedClock } from '../../simulation/clock.js';
import { KEYS, NAMESPACES, REPLICAS, type Action, type Schedule } from './actions.js';
import { Knowledge, mustStand, type Op } from './oracle.js';
import { Replica } from './replica.js';

/** Clocks differ by so much at most, milliseconds. */
const APART_MS = 2 * 60 * 60_000;

/** Three replicas with a clock of their own each, a relay that forgets nothing, and a schedule that happens to them. */
export class World {
  readonly clock = new SimulatedClock();
  readonly replicas: readonly Replica[];
  readonly counts = {
    ended: 0,
    heardOfEnds: 0,
    kills: 0,
    lost: 0,
    windowsGone: 0,
    mustStand: 0,
    twice: 0,
    full: 0,
  };
  readonly #namespace: (typeof NAMESPACES)[number];
  readonly #windows: Windows;
  readonly #knowledge = new Map<Replica, Knowledge>();
  readonly #relay = {
    documents: new Map<string, A.Doc<Record<string, unknown>>>(),
    knowledge: new Knowledge(),
  };
  readonly #wrote = new Set<Op>();
  #doing: { replica: Replica; op: Op } | undefined;
  #tokens = 0;

  constructor({ namespace, clockErrors }: Schedule) {
    this.#namespace = NAMESPACES[namespace] as (typeof NAMESPACES)[number];
    this.#windows = new Windows('test', 'ttl' in this.#namespace ? this.#namespace.ttl : Infinity);
    this.replicas = REPLICAS.map(
      (name, index) =>
        new Replica(name, clockErrors[index] ?? 0, {
          clock: this.clock,
          namespace: this.#namespace,
          made: (replica, document) => this.#made(replica, document),
        }),
    );
    for (const replica of this.replicas) this.#knowledge.set(replica, new Knowledge());
  }

  async run(actions: readonly Action[]): Promise<void> {
    for (const replica of this.replicas) await replica.start();
    for (const action of actions) {
      await this.#happen(action);
      await this.#quiet();
      this.#look(JSON.stringify(action));
    }
  }

  /** Everybody hears everything, then all start anew with clocks that are right: they must be alike. */
  async comeToRest(): Promise<void> {
    for (const replica of this.replicas) {
      replica.thaw();
      await replica.start();
    }
    for (let round = 0; round < 2; round += 1) await this.#meet();
    for (const replica of this.replicas) {
      this.#kill(replica);
      replica.clockErrorMs = 0;
      await replica.start();
    }
    await this.#meet();
    this.#judge();
  }

  close(): void {
    for (const replica of this.replicas) {
      this.counts.lost += replica.counters.givenUp;
      this.counts.twice += replica.counters.consumedTwice;
      replica.kill();
    }
    for (const document of this.#relay.documents.values()) A.free(document);
  }

  async #meet(): Promise<void> {
    for (const replica of this.replicas) await replica.process?.stores.tend();
    for (let round = 0; round < 2; round += 1) {
      for (const replica of this.replicas) this.#relayed(replica);
      this.#sync(0, 1);
      this.#sync(1, 2);
      this.#sync(0, 2);
    }
    await this.#quiet();
    this.#look('at rest');
  }

  #judge(): void {
    const now = this.clock.now();
    const all = this.replicas.map(({ process }) => process?.store.entries() ?? []);
    expect(all[1], 'replicas agree at rest').toEqual(all[0]);
    expect(all[2], 'replicas agree at rest').toEqual(all[0]);
    if (this.#namespace.class === 'durable') {
      const heard = new Set(this.replicas.flatMap((replica) => [...this.#of(replica).heard]));
      const must = mustStand(heard, now, this.#windows.life, 2 * APART_MS);
      this.counts.mustStand += must.length;
      expect(
        all[0]?.map(({ key }) => key),
        'no live durable entry is lost',
      ).toEqual(expect.arrayContaining(must));
    }
    for (const { known, disk } of this.replicas) {
      const there = new Set(known.all().map(({ id }) => id));
      // A clock that was ahead may have opened one more.
      const most = this.#windows.openAt(now).length + 1;
      expect(there.size, 'documents do not pile up').toBeLessThanOrEqual(most);
      const gone = [...known.ever].filter((id) => !there.has(id));
      this.counts.windowsGone += gone.length;
      expect(
        gone.filter((id) => disk.has(id)),
        'what is over leaves the disk',
      ).toEqual([]);
    }
  }

  /** No replica shows what it has heard the end of. */
  #look(after: string): void {
    for (const replica of this.replicas) {
      expect(replica.errors, `errors of ${replica.name} after ${after}`).toEqual([]);
      const { store } = replica.process ?? {};
      if (store === undefined) continue;
      const ended = new Set<number>();
      for (const { kind, token } of this.#of(replica).heard) if (kind === 'end') ended.add(token);
      this.counts.heardOfEnds += ended.size;
      const shown = store.entries();
      for (const { key, value } of shown) {
        expect(ended.has(value), `${replica.name} shows ${value} at ${key}, consumed, after ${after}`).toBe(
          false,
        );
      }
      const most = this.#namespace.class === 'cache' ? this.#namespace.maxEntries : KEYS.length;
      expect(shown.length).toBeLessThanOrEqual(most);
      const found = KEYS.map((key) => ({ key, value: store.lookup(key) })).filter(
        ({ value }) => value !== undefined,
      );
      const listed = shown.map(({ key, value }) => ({ key, value }));
      const byKey = (a: { key: string }, b: { key: string }): number => (a.key < b.key ? -1 : 1);
      expect(found.sort(byKey), `${replica.name} finds what it lists after ${after}`).toEqual(
        listed.sort(byKey),
      );
    }
  }

  async #happen(action: Action): Promise<void> {
    switch (action.do) {
      case 'register': {
        const age = Math.floor(action.age * this.#windows.life);
        return this.#register(this.#at(action.replica), KEYS[action.key] as string, age, 'register');
      }
      case 'registerIfAbsent':
        return this.#register(this.#at(action.replica), KEYS[action.key] as string, 0, 'registerIfAbsent');
      case 'consume':
      case 'delete':
        return this.#end(this.#at(action.replica), KEYS[action.key] as string, action.do);
      case 'clear':
        for (const key of KEYS) this.#end(this.#at(action.replica), key, 'delete');
        return;
      case 'both':
        for (const index of [action.one, action.other]) {
          const key = KEYS[action.key] as string;
          if (action.what === 'consume') this.#end(this.#at(index), key, 'consume');
          else this.#register(this.#at(index), key, 0, 'register');
        }
        return;
      case 'consume and die': {
        const replica = this.#at(action.replica);
        replica.stall();
        this.#end(replica, KEYS[action.key] as string, 'consume');
        await settle(1);
        return this.#kill(replica);
      }
      case 'sync':
        return this.#sync(action.one, action.other);
      case 'relay':
        return this.#relayed(this.#at(action.replica));
      case 'pass':
        return this.#pass(action.part * this.#namespace.step, action.awake);
      case 'kill':
        return this.#kill(this.#at(action.replica));
      case 'start':
        return this.#at(action.replica).start();
      case 'stall':
        return this.#at(action.replica).stall();
      case 'thaw':
        return this.#at(action.replica).thaw();
    }
  }

  #register(replica: Replica, key: string, age: number, verb: 'register' | 'registerIfAbsent'): void {
    const { store, clock } = replica.process ?? {};
    if (store === undefined || clock === undefined) return;
    const op = this.#op(replica, 'register', key, ++this.#tokens, clock.now() - age);
    this.#doing = { replica, op };
    try {
      const done = store[verb](key, op.token, age === 0 ? {} : { at: op.at });
      if (typeof done === 'boolean' ? done : done.registered) this.#did(replica, op);
    } catch (error) {
      if (!(error instanceof KeyedStoreError) || error.code !== 'full') throw error;
      this.counts.full += 1;
    } finally {
      this.#doing = undefined;
    }
  }

  #end(replica: Replica, key: string, verb: 'consume' | 'delete'): void {
    const { store } = replica.process ?? {};
    const token = store?.lookup(key);
    if (store === undefined || token === undefined) return;
    const op = this.#op(replica, 'end', key, token, 0);
    this.#doing = { replica, op };
    expect(store[verb](key)).toBe(verb === 'consume' ? token : true);
    this.#doing = undefined;
    // Nor does a copy stand that somebody made who had not heard of it.
    expect(store.lookup(key), `${key} of ${replica.name} after its end`).toBeUndefined();
    this.counts.ended += 1;
    this.#did(replica, op);
  }

  #op(replica: Replica, kind: Op['kind'], key: string, token: number, at: number): Op {
    return { kind, key, token, at, heard: new Set(this.#of(replica).heard), vague: false };
  }

  #did(replica: Replica, op: Op): void {
    const knowledge = this.#of(replica);
    knowledge.heard.add(op);
    if (this.#wrote.has(op)) return;
    op.vague = true;
    knowledge.pending.push(op);
  }

  #made(replica: Replica, document: string): void {
    const knowledge = this.#of(replica);
    if (this.#doing?.replica === replica) {
      this.#wrote.add(this.#doing.op);
      knowledge.of(document).add(this.#doing.op);
      return;
    }
    // What waited is written now, or an entry is renewed.
    for (const op of knowledge.pending) knowledge.carries(document, op);
  }

  #sync(one: number, other: number): void {
    const [left, right] = [this.#at(one), this.#at(other)];
    if (left === right || left.process === undefined || right.process === undefined) return;
    for (const { id } of [...left.process.documents.all()]) {
      const there = right.process.documents.get(id);
      if (there === undefined) continue;
      this.#give(left, id, there.handle.doc());
      this.#give(right, id, left.process.documents.get(id)?.handle.doc());
      this.#of(left).merge(id, this.#of(right));
    }
  }

  #give(to: Replica, id: string, from: A.Doc<Record<string, unknown>> | undefined): void {
    const document = to.process?.documents.get(id);
    if (document === undefined || from === undefined) return;
    const lacking = A.getChangesSince(from, A.getHeads(document.handle.doc()));
    if (lacking.length > 0) to.process?.documents.applyAll(document, lacking);
  }

  #relayed(replica: Replica): void {
    for (const { id, handle } of [...(replica.process?.documents.all() ?? [])]) {
      const here = this.#relay.documents.get(id) ?? A.init<Record<string, unknown>>();
      const [now] = A.applyChanges(here, A.getChangesSince(handle.doc(), A.getHeads(here)));
      this.#relay.documents.set(id, now);
      this.#give(replica, id, now);
      this.#of(replica).merge(id, this.#relay.knowledge);
    }
  }

  async #pass(ms: number, awake: readonly boolean[]): Promise<void> {
    this.clock.suspend(ms);
    for (const [index, replica] of this.replicas.entries()) {
      if (awake[index] === false) continue;
      const tended = replica.process?.stores.tend();
      // A document is closed when it is on the disk, which may take long.
      if (!replica.stalled) await tended;
      else await settle(1);
    }
  }

  /** What could be written is on the disks. */
  async #quiet(): Promise<void> {
    await settle(1);
    for (const replica of this.replicas) {
      if (replica.process === undefined || replica.stalled) continue;
      await replica.process.store.flush();
      this.#of(replica).flushed();
    }
  }

  #kill(replica: Replica): void {
    if (replica.process !== undefined) this.counts.kills += 1;
    replica.kill();
    this.#of(replica).killed();
  }

  #of(replica: Replica): Knowledge {
    return this.#knowledge.get(replica) as Knowledge;
  }

  #at(index: number): Replica {
    return this.replicas[index] as Replica;
  }
}
