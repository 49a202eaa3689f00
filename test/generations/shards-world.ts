import * as A from '@automerge/automerge';
import { assign, setup } from 'xstate';
import { expect } from 'vitest';
import { shardIndex } from '../../src/documents/placement.js';
import type { Write } from '../../src/documents/write.js';
import { Replica } from '../actors/properties/replica.js';
import type { Process } from '../actors/properties/process.js';
import { settle, SimulatedClock } from '../simulation/clock.js';
import { type Action, type Heard, REPLICAS, ROOMS, type Schedule, SHARDS } from './shards-actions.js';

/** Keeps the ids of all events that it took, in their order: what is lost or counted twice shows. Each rings once. */
const machine = setup({
  types: { context: {} as { ids: string[] }, events: {} as { type: 'E' } },
  actions: {
    note: assign({ ids: ({ context, event }) => [...context.ids, (event as unknown as { id: string }).id] }),
    ring: () => {},
  },
}).createMachine({ id: 'm', context: { ids: [] }, on: { E: { actions: ['note', { type: 'ring' }] } } });

/** The first name of a kind that is placed in a shard. */
function placedIn(shard: number, nameOf: (number: number) => string): string {
  for (let number = 0; ; number += 1) {
    if (shardIndex(nameOf(number), SHARDS) === shard) return nameOf(number);
  }
}

const rooms = Array.from({ length: ROOMS }, (_, shard) => placedIn(shard, (number) => `!r${number}:x`));
const persons = Array.from({ length: SHARDS }, (_, shard) => placedIn(shard, (number) => `@p${number}:x`));
const actors = rooms.map((room) => `m/${room}`);
const everyShard = Array.from({ length: SHARDS }, (_, shard) => shard);
/** Rounds in which everything must have come to rest. */
const MOST_ROUNDS = 60;
/** Longer than a node waits before it looks again by itself, milliseconds. */
const LOOK_MS = 31_000;

interface Sent {
  actor: string;
  cause: { id: string; ts: number };
}

/** Three replicas, three actors shards, and rooms whose person is not known everywhere at once. */
export class ShardsWorld {
  readonly clock = new SimulatedClock();
  readonly replicas: readonly Replica[];
  /** What happened: to see that it was what the test is about. */
  readonly counts = { events: 0, moved: 0, cuts: 0, kills: 0, late: 0 };
  readonly #sent: Sent[] = [];
  /** `<actor> <event id>` that some replica has said to be durable. */
  readonly #durable = new Set<string>();
  /** Sends that have not resolved, by process. */
  readonly #waiting = new Map<Process, number>();
  #carried: string[] = [];
  #sides: readonly boolean[] = [true, true, true];

  constructor({ clockErrors }: Pick<Schedule, 'clockErrors'>) {
    this.replicas = REPLICAS.map(
      (name, index) =>
        new Replica(name, clockErrors[index] ?? 0, {
          clock: this.clock,
          replicas: REPLICAS,
          actors,
          shards: SHARDS,
          effects: ['ring'],
          register: (machines) => void machines.register(machine),
          made: () => {},
          carryOut: (_replica, actor, { cause }) => void this.#carried.push(`${actor} ${cause}`),
          told: () => {},
        }),
    );
  }

  async run(actions: readonly Action[]): Promise<void> {
    for (const replica of this.replicas) await replica.start();
    for (const action of actions) {
      await this.#happen(action);
      await settle(1);
      this.#lookAtErrors();
    }
  }

  /** Everybody is there and hears everything: then all must be alike, and every event counts once. */
  async comeToRest(): Promise<void> {
    this.#sides = [true, true, true];
    for (const replica of this.replicas) {
      replica.acts = false;
      replica.disk.thaw();
      await replica.start();
    }
    await this.#untilQuiet();
    this.judge('at rest');
  }

  /** What counts stays so: sent again, carried out, cut in every order, read again from disk. */
  async standFast(): Promise<void> {
    // Of what was sent, some died with its replica; sent again it counts, and then all is there.
    for (const again of [1, 2]) {
      for (const [index, sent] of this.#sent.entries()) this.#give((index + again) % REPLICAS.length, sent);
      await this.#untilQuiet();
      this.judge(`sent again, ${again}`);
      expect(this.#idsOf(this.#process(0)).flat(), 'every event').toHaveLength(this.#sent.length);
    }
    await this.#carryOutAll();
    for (const [index, order] of [everyShard, [...everyShard].reverse()].entries()) {
      for (const shard of order) {
        await this.#cut(index, [shard]);
        await this.#untilQuiet();
        this.judge(`shard ${shard} cut by ${REPLICAS[index]}`);
      }
    }
    for (const { process } of this.replicas) expect(process?.actors.pending(), 'done stays done').toBe(0);
    for (const replica of this.replicas) {
      this.#kill(replica);
      await replica.start();
    }
    await this.#untilQuiet();
    this.judge('read from disk');
    for (const { process } of this.replicas) expect(process?.actors.pending(), 'done stays done').toBe(0);
  }

  judge(when: string): void {
    const processes = this.replicas.map((_, index) => this.#process(index));
    const heads = processes.map((process) => headsOf(process));
    expect(heads, `${when}: all replicas hold the same`).toEqual(heads.map(() => heads[0]));
    const ids = processes.map((process) => this.#idsOf(process));
    expect(ids, `${when}: all actors stand alike`).toEqual(ids.map(() => ids[0]));
    for (const [index, actor] of actors.entries()) {
      const counted = ids[0]?.[index] ?? [];
      expect([...new Set(counted)], `${when}: ${actor} counts nothing twice`).toEqual(counted);
      const lost = [...this.#durable].filter(
        (name) => name.startsWith(`${actor} `) && !counted.includes(name.slice(actor.length + 1)),
      );
      expect(lost, `${when}: lost`).toEqual([]);
      for (const id of counted) {
        expect(this.#sent.some((sent) => sent.actor === actor && sent.cause.id === id)).toBe(true);
        for (const process of processes) expect(process.actors.counts(actor, id)).toBe(true);
      }
    }
    const pending = processes.map((process) => process.actors.pending());
    expect(pending, `${when}: the same is owed everywhere`).toEqual(pending.map(() => pending[0]));
    for (const process of processes) {
      expect(this.#waiting.get(process) ?? 0, `${when}: sends that nobody answered`).toBe(0);
    }
  }

  close(): void {
    for (const replica of this.replicas) {
      replica.process?.free();
      replica.kill();
    }
  }

  async #carryOutAll(): Promise<void> {
    this.#carried = [];
    const replica = this.#at(0);
    const owed = this.#process(0).actors.pending();
    replica.acts = true;
    await this.clock.advance(1000);
    replica.acts = false;
    await this.#untilQuiet();
    this.judge('carried out');
    expect(this.#carried.length, 'what was owed is carried out').toBe(owed);
    expect(new Set(this.#carried).size, 'each effect once').toBe(owed);
    expect(this.#process(0).actors.pending(), 'and owed no more').toBe(0);
  }

  async #happen(action: Action): Promise<void> {
    switch (action.do) {
      case 'send':
        return this.#send(action);
      case 'map':
        return this.#map(action);
      case 'sync':
        return this.#sync(action.from, action.to, action.what);
      case 'trickle':
        return this.#trickle(action.from, action.to, action.order);
      case 'partition':
        this.#sides = action.sides;
        return;
      case 'heal':
        this.#sides = [true, true, true];
        return;
      case 'kill':
        return this.#kill(this.#at(action.replica));
      case 'start':
        await this.#at(action.replica).start();
        return;
      case 'restart':
        this.#kill(this.#at(action.replica));
        await this.#at(action.replica).start();
        return;
      case 'stall':
        // A start waits for its disk.
        if (this.#at(action.replica).process !== undefined) this.#at(action.replica).disk.stall();
        return;
      case 'thaw':
        return this.#at(action.replica).disk.thaw();
      case 'seen':
        return this.#say(action.replica, action.replica, { last_seen_at: Math.floor(this.clock.now()) });
      case 'retire':
        return this.#say(action.replica, action.who, { retired: true });
      case 'acts':
        this.#at(action.replica).acts = action.acts;
        return;
      case 'pass':
        return this.clock.advance(action.ms);
      case 'cut':
        return this.#cut(action.replica, action.shards, action.archiveMs);
      case 'cuts apart':
        return this.#cutsApart(action);
    }
  }

  #send({ replica, room, again, ageMs }: Omit<Extract<Action, { do: 'send' }>, 'do'>): void {
    const earlier = again === undefined ? undefined : this.#sent[again];
    const sent: Sent = earlier ?? {
      actor: actors[room] as string,
      cause: { id: `$${this.#sent.length}`, ts: this.clock.now() - ageMs },
    };
    if (earlier === undefined) this.#sent.push(sent);
    this.#give(replica, sent);
  }

  #give(index: number, { actor, cause }: Sent): void {
    const replica = this.#at(index);
    const process = replica.process;
    if (process === undefined) return;
    const count = (by: number): void => {
      this.#waiting.set(process, (this.#waiting.get(process) ?? 0) + by);
    };
    count(1);
    this.counts.events += 1;
    process.actors
      .send(actor, { type: 'E' }, { cause })
      .then(() => this.#durable.add(`${actor} ${cause.id}`))
      .catch((error: unknown) => replica.errors.push(error))
      .finally(() => count(-1));
  }

  #map({ replica, room, person }: Extract<Action, { do: 'map' }>): void {
    const at = this.#at(replica);
    const fields = { matrix_user_id: persons[person] as string };
    this.counts.moved += 1;
    at.process
      ?.change([{ kind: 'room', key: `matrix_room:${rooms[room] as string}`, fields }], {
        id: `$map${this.counts.moved}`,
        ts: this.clock.now(),
      })
      .catch((error: unknown) => at.errors.push(error));
  }

  #say(replica: number, who: number, fields: Write['fields']): void {
    const at = this.#at(replica);
    at.process
      ?.change([{ kind: 'member', key: `member:${REPLICAS[who]}`, fields }], {
        id: `member:${who}`,
        ts: this.clock.now(),
      })
      .catch((error: unknown) => at.errors.push(error));
  }

  async #cut(index: number, shards: readonly number[], archiveMs = 0): Promise<void> {
    const replica = this.#at(index);
    const archive = async (): Promise<void> => {
      if (archiveMs > 0) await new Promise<void>((resolve) => void this.clock.after(archiveMs, resolve));
    };
    for (const shard of shards) {
      replica.process
        ?.cut({ mayCut: (one) => one === shard, archive })
        .then((made) => {
          this.counts.cuts += made;
        })
        .catch((error: unknown) => replica.errors.push(error));
      await settle(2);
    }
  }

  async #cutsApart({ one, other, room, shards }: Extract<Action, { do: 'cuts apart' }>): Promise<void> {
    for (const replica of [one, other, one, other]) {
      this.#send({ replica, room, again: undefined, ageMs: 0 });
      await settle(1);
      await this.#cut(replica, shards);
      await this.clock.advance(1);
    }
  }

  #sync(from: number, to: number, what: Heard): void {
    for (const [id, changes] of this.#lacking(from, to, what)) this.#at(to).process?.take(id, changes, true);
  }

  #trickle(from: number, to: number, order: readonly number[]): void {
    for (const [id, changes] of this.#lacking(from, to, 'all')) {
      const picked = order.map((index) => changes[index % Math.max(1, changes.length)]);
      this.#at(to).process?.take(
        id,
        picked.filter((change) => change !== undefined),
        false,
      );
    }
  }

  /** What one holds and another may lack, by document; only of documents that both have open. */
  *#lacking(from: number, to: number, what: Heard): Iterable<[string, Uint8Array[]]> {
    const [source, sink] = [this.#at(from).process, this.#at(to).process];
    if (source === undefined || sink === undefined || this.#sides[from] !== this.#sides[to] || from === to)
      return;
    for (const { id, name, handle } of [...source.documents.all()]) {
      if (what !== 'all' && name.kind !== what) continue;
      const there = sink.documents.get(id)?.handle.doc();
      if (there !== undefined) yield [id, A.getChangesSince(handle.doc(), A.getHeads(there))];
    }
  }

  async #untilQuiet(): Promise<void> {
    let looked = false;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const before = this.#state();
      for (const from of [0, 1, 2]) for (const to of [0, 1, 2]) this.#sync(from, to, 'all');
      await settle(2);
      await this.clock.advance(150);
      this.#lookAtErrors();
      if (this.#state() !== before) looked = false;
      else if (looked) return;
      else {
        await this.clock.advance(LOOK_MS);
        looked = true;
      }
    }
    expect.fail(`the replicas did not come to rest: ${this.#state()}`);
  }

  #state(): string {
    return JSON.stringify(
      this.replicas.map(({ process }) =>
        [...(process?.documents.all() ?? [])].map(({ id, handle }) => [id, A.getHeads(handle.doc()).sort()]),
      ),
    );
  }

  #idsOf(process: Process): string[][] {
    return actors.map((actor) => {
      const { context } = process.actors.snapshot(actor);
      return (context as { ids: string[] } | null)?.ids ?? [];
    });
  }

  #lookAtErrors(): void {
    for (const { name, errors } of this.replicas) {
      const [first] = errors;
      if (first !== undefined) throw new Error(`replica ${name} has an error`, { cause: first });
    }
  }

  /** SIGKILL. */
  #kill(replica: Replica): void {
    if (replica.process !== undefined) {
      this.counts.kills += 1;
      this.#note(replica.process);
    }
    replica.kill();
  }

  #note({ counters: { generations } }: Process): void {
    this.counts.late += generations.late;
  }

  #process(index: number): Process {
    const { name, process } = this.#at(index);
    if (process === undefined) throw new Error(`replica ${name} is dead`);
    return process;
  }

  #at(index: number): Replica {
    return this.replicas[index] as Replica;
  }
}

const headsOf = (process: Process): unknown =>
  everyShard.map((shard) => {
    const { id, handle } = process.document('actors', shard);
    return [id, A.getHeads(handle.doc()).sort()];
  });
