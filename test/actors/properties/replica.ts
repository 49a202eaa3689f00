import type { Effect } from '../../../src/actors/effect.js';
import type { ActorChange } from '../../../src/actors/subscribers.js';
import type { Machines } from '../../../src/actors/machines.js';
import type { OpenDocument } from '../../../src/node/open-documents.js';
import type { SimulatedClock } from '../../simulation/clock.js';
import { Disk } from './disk.js';
import { Process } from './process.js';

/** What the replicas of a schedule share, and whom they tell. */
export interface Surroundings {
  clock: SimulatedClock;
  replicas: readonly string[];
  actors: readonly string[];
  /** Default 1. */
  shards?: number;
  effects: readonly string[];
  /** Registers the machine's versions up to this one. */
  register(machines: Pick<Machines, 'register'>, version: number): void;
  /** A change of a replica's own. */
  made(document: OpenDocument, bytes: Uint8Array): void;
  /** Carries out an effect; gives the event that it answers with. */
  carryOut(replica: string, actor: string, effect: Effect): { type: string } | undefined;
  told(replica: string, change: ActorChange): void;
}

/** One replica: it is killed and started again, and its disk stays. */
export class Replica {
  readonly disk = new Disk();
  /** Whether it believes that it is its turn to carry out what is owed. */
  acts = false;
  version = 1;
  /** Error lines of its log, and what broke in it. */
  readonly errors: unknown[] = [];
  #process: Process | undefined;

  constructor(
    readonly name: string,
    /** What its clock shows too much, milliseconds. */
    readonly clockErrorMs: number,
    readonly surroundings: Surroundings,
  ) {}

  /** Undefined while it is dead. */
  get process(): Process | undefined {
    return this.#process;
  }

  async start(): Promise<Process> {
    this.#process ??= await Process.start(this);
    return this.#process;
  }

  /** SIGKILL: what is not on the disk is gone. */
  kill(): void {
    const process = this.#process;
    this.#process = undefined;
    this.disk.kill();
    process?.kill();
  }
}
