import * as A from '@automerge/automerge';
import { z } from 'zod';
import { KeyedCounters } from '../../../src/keyed/counters.js';
import type { KeyedStore } from '../../../src/keyed/store.js';
import type { KeyedStores } from '../../../src/node/keyed/keyed-stores.js';
import { silentLog, type Log } from '../../../src/telemetry/log.js';
import { Disk } from '../../actors/properties/disk.js';
import type { Documents } from '../../actors/properties/documents.js';
import { ProcessClock, type SimulatedClock } from '../../simulation/clock.js';
import type { NAMESPACES } from './actions.js';
import { Known, startStores } from '../process.js';

/** An entry could not be written because its window was not open: what a replica that was frozen comes to. */
const EXPECTED = 'an entry could not be written';

/** What an open store does for a replica, over real documents and the real Saver. */
export interface Process {
  readonly documents: Documents;
  readonly stores: KeyedStores;
  readonly store: KeyedStore<number>;
  readonly clock: ProcessClock;
}

/** One replica: it is killed and started again, and its disk stays. */
export class Replica {
  readonly disk = new Disk();
  readonly known = new Known();
  readonly counters = new KeyedCounters();
  readonly errors: unknown[] = [];
  stalled = false;
  process: Process | undefined;

  constructor(
    readonly name: string,
    public clockErrorMs: number,
    private readonly options: {
      clock: SimulatedClock;
      namespace: (typeof NAMESPACES)[number];
      /** A change of this replica's own. */
      made(replica: Replica, document: string): void;
    },
  ) {}

  async start(): Promise<void> {
    if (this.process !== undefined) return;
    const clock = new ProcessClock(this.options.clock, this.clockErrorMs);
    const log = this.#log();
    const { documents, stores } = startStores({
      ...{ name: this.name, disk: this.disk, known: this.known, counters: this.counters, clock, log },
      malformed: (what) => this.errors.push(new Error(`malformed ${what}`)),
      made: (document) => this.options.made(this, document),
    });
    stores.sweep();
    const { step: _, ...limits } = this.options.namespace;
    const store = await stores.open({ namespace: 'test', persistent: true, shape: z.number(), ...limits });
    this.process = { documents, stores, store, clock };
  }

  /** SIGKILL: what is not on the disk is gone. */
  kill(): void {
    const { process } = this;
    this.process = undefined;
    this.stalled = false;
    this.disk.kill();
    process?.clock.kill();
    process?.stores.close();
    for (const { handle } of process?.documents.all() ?? []) A.free(handle.doc());
  }

  stall(): void {
    if (this.process === undefined) return;
    this.stalled = true;
    this.disk.stall();
  }

  thaw(): void {
    this.stalled = false;
    this.disk.thaw();
  }

  #log(): Log {
    const log: Log = {
      ...silentLog,
      error: (fields, message) => {
        if (message !== EXPECTED)
          this.errors.push(Object.assign(new Error(message), { cause: fields['err'] ?? fields }));
      },
      child: () => log,
    };
    return log;
  }
}
