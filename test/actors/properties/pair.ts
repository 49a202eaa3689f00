import * as A from '@automerge/automerge';
import type { Effect } from '../../../src/actors/effect.js';
import type { ActorEvent } from '../../../src/actors/plan.js';
import type { Machines } from '../../../src/actors/machines.js';
import { settle, SimulatedClock } from '../../simulation/clock.js';
import type { Process } from './process.js';
import { Replica } from './replica.js';

/** A change of a replica's own, decoded. */
export interface Made {
  replica: string;
  message: string | null;
  author: string;
  keys: string[];
}

/** Two replicas in memory, with what was carried out and changed; nothing passes between them but by {@link sync}. */
export class Pair {
  readonly clock = new SimulatedClock();
  readonly a: Replica;
  readonly b: Replica;
  readonly carried: { replica: string; effect: Effect }[] = [];
  readonly made: Made[] = [];
  /** What effects answer with. */
  answer: ActorEvent | undefined;

  constructor(
    register: (machines: Pick<Machines, 'register'>, version: number) => void,
    { replicas = ['a', 'b'] }: { replicas?: readonly string[] } = {},
  ) {
    const [a, b] = ['a', 'b'].map(
      (name) =>
        new Replica(name, 0, {
          clock: this.clock,
          replicas,
          actors: ['m/1'],
          effects: ['ring', 'ask'],
          register,
          made: (_document, bytes) => this.#note(name, bytes),
          carryOut: (replica, _actor, effect) => {
            this.carried.push({ replica, effect });
            return this.answer;
          },
          told: () => {},
        }),
    );
    this.a = a as Replica;
    this.b = b as Replica;
  }

  async start(...replicas: Replica[]): Promise<this> {
    for (const replica of replicas.length > 0 ? replicas : [this.a, this.b]) await replica.start();
    return this;
  }

  async restart(replica: Replica): Promise<void> {
    replica.kill();
    await replica.start();
    await settle();
  }

  /** All that one holds goes to the other, both ways. */
  async sync(): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      for (const [from, to] of [
        [of(this.a), of(this.b)],
        [of(this.b), of(this.a)],
      ] as const) {
        for (const { id, handle } of [...from.documents.all()]) {
          const there = to.documents.get(id)?.handle.doc();
          if (there !== undefined) to.take(id, A.getChangesSince(handle.doc(), A.getHeads(there)), true);
        }
      }
      await settle(5);
    }
  }

  close(): void {
    for (const replica of [this.a, this.b]) {
      replica.process?.free();
      replica.kill();
    }
  }

  #note(replica: string, bytes: Uint8Array): void {
    const { message, actor, ops } = A.decodeChange(bytes);
    const keys = (ops as { key?: string }[]).map(({ key }) => key).filter((key) => key !== undefined);
    this.made.push({ replica, message, author: actor, keys });
  }
}

/** The process of a replica that is alive. */
export function of({ name, process }: Replica): Process {
  if (process === undefined) throw new Error(`replica ${name} is dead`);
  return process;
}
