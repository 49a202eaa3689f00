import * as A from '@automerge/automerge';
import { assign, setup } from 'xstate';
import type { OpenDocument } from '../../src/node/open-documents.js';
import type { Process } from '../actors/properties/process.js';
import { Replica } from '../actors/properties/replica.js';
import { settle, SimulatedClock } from '../simulation/clock.js';

const REPLICAS = ['a', 'b', 'c'] as const;
/** The actor that it is about, and another one of the same shard. */
export const ACTOR = 'm/!r1:x';
export const OTHER = 'm/!r2:x';

type Event = { type: 'NOTE' } | { type: 'RING' } | { type: 'WAIT' } | { type: 'STOP' };

/** RING rings; WAIT waits a second; STOP ends it for good. */
const machine = setup({
  types: { context: {} as { ids: string[] }, events: {} as Event },
  actions: {
    note: assign({ ids: ({ context, event }) => [...context.ids, (event as unknown as { id: string }).id] }),
    ring: () => {},
  },
}).createMachine({
  id: 'm',
  context: { ids: [] },
  initial: 'idle',
  on: { NOTE: { actions: 'note' }, RING: { actions: ['note', { type: 'ring' }] } },
  states: {
    idle: { on: { WAIT: { target: 'waiting', actions: 'note' }, STOP: { target: 'over', actions: 'note' } } },
    waiting: { after: { 1000: 'rang' } },
    rang: {},
    over: { type: 'final' },
  },
});

/** Three replicas of one shard, each of which hears what it is told to hear: effects and timers over rival cuts. */
export class OwingWorld {
  readonly clock = new SimulatedClock();
  /** The event of each effect that was carried out. */
  readonly carried: string[] = [];
  readonly replicas: readonly Replica[];

  constructor() {
    this.replicas = REPLICAS.map(
      (name) =>
        new Replica(name, 0, {
          clock: this.clock,
          replicas: REPLICAS,
          actors: [ACTOR, OTHER],
          effects: ['ring'],
          register: (machines) => void machines.register(machine, { archive: { afterMs: 60_000 } }),
          made: () => {},
          carryOut: (_replica, _actor, { cause }) => void this.carried.push(cause),
          told: () => {},
        }),
    );
  }

  async start(): Promise<void> {
    for (const one of this.replicas) await one.start();
    await this.pass(10);
  }

  at(index: number): Replica {
    return this.replicas[index] as Replica;
  }

  process(index: number): Process {
    const { process } = this.at(index);
    if (process === undefined) throw new Error(`replica ${index} is dead`);
    return process;
  }

  async send(index: number, actor: string, id: string, type: Event['type'] = 'NOTE'): Promise<void> {
    this.process(index)
      .actors.send(actor, { type }, { cause: { id, ts: this.clock.now() } })
      .catch((error: unknown) => this.at(index).errors.push(error));
    await this.pass(50);
  }

  async cut(index: number): Promise<void> {
    this.process(index)
      .cut({ mayCut: () => true })
      .catch((error: unknown) => this.at(index).errors.push(error));
    await this.pass(100);
  }

  async acts(index: number, ms: number): Promise<void> {
    this.at(index).acts = true;
    await this.pass(ms);
    this.at(index).acts = false;
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    for (const { errors } of this.replicas) {
      if (errors.length > 0) throw new Error('a replica has an error', { cause: errors[0] });
    }
  }

  /** Id of the document that a replica reads. */
  reads(index: number): string {
    return this.process(index).document('actors', 0).id;
  }

  /** One hears what another holds of `cluster`, and of the actors documents that are named, or of all. */
  async hear(from: number, to: number, ...ids: readonly string[]): Promise<void> {
    const [source, sink] = [this.at(from).process, this.at(to).process];
    if (source === undefined || sink === undefined) return;
    const isHeard = ({ id, name }: OpenDocument): boolean =>
      name.kind === 'cluster' || ids.length === 0 || ids.includes(id);
    for (const { id, handle } of [...source.documents.all()].filter(isHeard)) {
      const there = sink.documents.get(id)?.handle.doc();
      if (there !== undefined) sink.take(id, A.getChangesSince(handle.doc(), A.getHeads(there)), true);
    }
    await settle(3);
    await this.pass(50);
  }

  async everybodyHears(rounds = 6, ...ids: readonly string[]): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      for (const from of [0, 1, 2]) {
        for (const to of [0, 1, 2]) if (from !== to) await this.hear(from, to, ...ids);
      }
      await this.pass(round === rounds - 2 ? 31_000 : 200);
    }
  }

  close(): void {
    for (const one of this.replicas) {
      one.process?.free();
      one.kill();
    }
  }
}
