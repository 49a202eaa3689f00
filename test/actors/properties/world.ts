import * as A from '@automerge/automerge';
import type { AnyStateMachine } from 'xstate';
import { expect } from 'vitest';
import { type Effect, effectOf } from '../../../src/actors/effect.js';
import { ActorError } from '../../../src/actors/errors.js';
import type { Machines } from '../../../src/actors/machines.js';
import { settle, SimulatedClock } from '../../simulation/clock.js';
import { type Action, ACTORS, REPLICAS, type Schedule } from './actions.js';
import { Judge } from './judge.js';
import { Ledger } from './ledger.js';
import { buildMachine, FIELDS, toSecond } from './machine-build.js';
import { EVENTS, type MachineSpec, MINUTE } from './machine-spec.js';
import { Replica, type Surroundings } from './replica.js';

interface Sent {
  actor: string;
  event: { type: string; x?: number };
  cause: { id: string; ts?: number };
}

/** How often effects answer with an event: without an end, effect and event could call each other for ever. */
const MOST_ANSWERS = 6;
/** Rounds in which everything must have come to rest. */
const MOST_ROUNDS = 40;

/** Three replicas, the network between them, and a schedule that happens to them. */
export class World {
  readonly clock = new SimulatedClock();
  readonly ledger = new Ledger();
  readonly replicas: readonly Replica[];
  readonly machines: readonly AnyStateMachine[];
  /** The effects carried out last, in order, each as often as it was. */
  carried: { replica: string; actor: string; effect: Effect }[] = [];
  carriedInAll = 0;
  /** `<actor> <event id>` that some replica has said to be durable. */
  readonly durable = new Set<string>();
  readonly judge: Judge;
  readonly #sent: Sent[] = [];
  readonly #messages: { document: string; bytes: Uint8Array }[] = [];
  kills = 0;
  partitions = 0;
  /** Events that subscribers were told of as late. */
  late = 0;
  #sides: readonly boolean[] = [true, true, true];
  #answers = 0;

  constructor(spec: MachineSpec, { clockErrors, acts }: Pick<Schedule, 'clockErrors' | 'acts'>) {
    this.machines = [buildMachine(spec, 1), buildMachine(spec, 2)];
    for (const machine of this.machines) machine.options.maxIterations = 1000;
    const surroundings: Surroundings = {
      clock: this.clock,
      replicas: REPLICAS,
      actors: ACTORS,
      effects: ['ring', 'ask'],
      register: (machines, version) => this.#register(machines, version),
      made: (document, bytes) => {
        this.ledger.note(document, bytes);
        this.#messages.push({ document: document.id, bytes });
      },
      carryOut: (replica, actor, effect) => this.#carryOut(replica, actor, effect),
      told: (replica, change) => {
        if (change.late) this.late += 1;
        this.judge.told(replica, change);
      },
    };
    this.replicas = REPLICAS.map((name, index) => new Replica(name, clockErrors[index] ?? 0, surroundings));
    for (const [index, replica] of this.replicas.entries()) replica.acts = acts[index] ?? false;
    this.judge = new Judge(this, (actor, cause, type, params) => effectOf(actor, cause, { type, params }).id);
  }

  async run(actions: readonly Action[]): Promise<void> {
    for (const replica of this.replicas) await replica.start();
    for (const action of actions) {
      await this.#happen(action);
      await settle(1);
      this.judge.lookAtErrors();
    }
  }

  /** Everybody is there, hears everything and does nothing; then all must be alike, and as the oracle says. */
  async comeToRest(): Promise<void> {
    this.#sides = [true, true, true];
    const newest = Math.max(...this.replicas.map(({ version }) => version));
    for (const replica of this.replicas) {
      replica.acts = false;
      replica.disk.thaw();
      if (replica.version !== newest) this.#kill(replica);
      replica.version = newest;
      await replica.start();
    }
    await this.#untilQuiet();
    this.judge.judge();
  }

  /** One carries out all that is owed now; gives what it carried out, as {@link Judge.owed} does. */
  async carryOutAll(index: number): Promise<string[]> {
    const replica = this.#at(index);
    this.#answers = MOST_ANSWERS;
    this.carried = [];
    replica.acts = true;
    // What is owed is looked at anew within a second; the alarm of a timer is not what this is about.
    await this.clock.advance(1000);
    replica.acts = false;
    await this.#untilQuiet();
    return this.carried.map(
      ({ actor, effect: { cause, name, params } }) => `${actor} ${cause} ${name} ${JSON.stringify(params)}`,
    );
  }

  close(): void {
    for (const replica of this.replicas) {
      replica.process?.free();
      replica.kill();
    }
  }

  async #happen(action: Action): Promise<void> {
    switch (action.do) {
      case 'send':
        return this.#send(action);
      case 'sync':
        return this.#sync(action.from, action.to);
      case 'trickle':
        return this.#trickle(action.from, action.to, action.order);
      case 'message': {
        const message = this.#messages[action.which % Math.max(1, this.#messages.length)];
        if (message !== undefined)
          this.#at(action.to).process?.take(message.document, [message.bytes], false);
        return;
      }
      case 'partition':
        this.#sides = action.sides;
        if (new Set(action.sides).size > 1) this.partitions += 1;
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
      case 'acts':
        this.#at(action.replica).acts = action.acts;
        return;
      case 'pass':
        return this.#pass(action.ms);
      case 'cut':
        return this.#cut(action.replica);
      case 'cuts apart':
        return this.#cutsApart(action);
      case 'upgrade':
        this.#at(action.replica).version = 2;
        this.#kill(this.#at(action.replica));
        await this.#at(action.replica).start();
        return;
    }
  }

  #send({ replica, actor, event, x, again, ageMs }: Extract<Action, { do: 'send' }>): void {
    const earlier = again === undefined ? undefined : this.#sent[again];
    const type = EVENTS.indexOf(event);
    const known = [...(this.machines[0]?.events ?? [])].filter((one) =>
      EVENTS.includes(one as string),
    ) as string[];
    const taken = known.includes(event) ? event : known[type % Math.max(1, known.length)];
    if (taken === undefined) return;
    const sent: Sent = earlier ?? {
      actor: ACTORS[actor] as string,
      event: { type: taken, ...(FIELDS[taken] !== undefined && { x }) },
      cause: {
        id: `$${this.#sent.length}`,
        // Some causes have a time of their own, the homeserver's; others count by the clock of whoever sends.
        ...(ageMs !== 1 && { ts: this.clock.now() - ageMs }),
      },
    };
    if (earlier === undefined) this.#sent.push(sent);
    this.#give(this.#at(replica), sent);
  }

  #give(replica: Replica, { actor, event, cause }: Sent): void {
    const process = replica.process;
    if (process === undefined || !process.writable) return;
    process.actors.send(actor, event, { cause }).then(
      () => this.durable.add(`${actor} ${cause.id}`),
      (error: unknown) => {
        const expected = ['newer-version', 'quarantined', 'transition-failed'];
        if (!(error instanceof ActorError) || !expected.includes(error.code)) replica.errors.push(error);
      },
    );
  }

  /** The wall clock goes on at once; of the monotonic time only as much as every waiting takes that looks at the wall. */
  async #pass(ms: number): Promise<void> {
    const watched = Math.min(ms, MINUTE);
    this.clock.suspend(ms - watched);
    await this.clock.advance(watched);
  }

  async #cut(index: number): Promise<void> {
    const replica = this.#at(index);
    replica.process?.cut().catch((error: unknown) => replica.errors.push(error));
    await settle(2);
  }

  async #cutsApart({ one, other, actor, event }: Extract<Action, { do: 'cuts apart' }>): Promise<void> {
    for (const index of [one, other, one, other]) {
      this.#send({ do: 'send', replica: index, actor, event, x: 2, again: undefined, ageMs: 0 });
      await settle(1);
      await this.#cut(index);
      await this.clock.advance(1);
    }
  }

  #sync(from: number, to: number): void {
    for (const [id, changes] of this.#lacking(from, to)) this.#at(to).process?.take(id, changes, true);
  }

  #trickle(from: number, to: number, order: readonly number[]): void {
    for (const [id, changes] of this.#lacking(from, to)) {
      const picked = order.map((index) => changes[index % Math.max(1, changes.length)]);
      this.#at(to).process?.take(
        id,
        picked.filter((change) => change !== undefined),
        false,
      );
    }
  }

  /** What one holds and another may lack, by document; only of documents that both have open. */
  *#lacking(from: number, to: number): Iterable<[string, Uint8Array[]]> {
    const [source, sink] = [this.#at(from).process, this.#at(to).process];
    if (source === undefined || sink === undefined || this.#sides[from] !== this.#sides[to] || from === to)
      return;
    for (const { id, handle } of [...source.documents.all()]) {
      const there = sink.documents.get(id)?.handle.doc();
      if (there !== undefined) yield [id, A.getChangesSince(handle.doc(), A.getHeads(there))];
    }
  }

  async #untilQuiet(): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const before = this.#state();
      for (const from of [0, 1, 2]) for (const to of [0, 1, 2]) this.#sync(from, to);
      await settle(2);
      await this.clock.advance(150);
      this.judge.lookAtErrors();
      if (this.#state() === before) return;
    }
    expect.fail(`the replicas did not come to rest: ${this.#state()}`);
  }

  #state(): string {
    const heads = this.replicas.map(({ process }) =>
      [...(process?.documents.all() ?? [])].map(({ id, handle }) => [id, A.getHeads(handle.doc()).sort()]),
    );
    return JSON.stringify(heads);
  }

  #register(machines: Pick<Machines, 'register'>, version: number): void {
    const known = this.machines[0]?.events ?? [];
    const events = Object.fromEntries(Object.entries(FIELDS).filter(([type]) => known.includes(type)));
    this.machines.slice(0, version).forEach((logic, index) => {
      machines.register(logic, { version: index + 1, events, ...(index === 1 && { migrate: toSecond }) });
    });
  }

  #carryOut(replica: string, actor: string, effect: Effect): { type: string } | undefined {
    this.carried.push({ replica, actor, effect });
    this.carriedInAll += 1;
    if (effect.name !== 'ask' || this.#answers >= MOST_ANSWERS) return undefined;
    this.#answers += 1;
    return this.machines[0]?.events.includes('B') === true ? { type: 'B' } : undefined;
  }

  /** SIGKILL. */
  #kill(replica: Replica): void {
    if (replica.process !== undefined) this.kills += 1;
    replica.kill();
    this.judge.forget(replica.name);
  }

  #at(index: number): Replica {
    return this.replicas[index] as Replica;
  }
}
