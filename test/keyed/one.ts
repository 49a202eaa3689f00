import { afterEach } from 'vitest';
import type { z } from 'zod';
import * as A from '@automerge/automerge';
import { KeyedCounters } from '../../src/keyed/counters.js';
import type { KeyedStoreOptions } from '../../src/keyed/options.js';
import type { KeyedStore } from '../../src/keyed/store.js';
import type { KeyedStores } from '../../src/node/keyed/keyed-stores.js';
import type { Log } from '../../src/telemetry/log.js';
import { Disk } from '../actors/properties/disk.js';
import type { Documents } from '../actors/properties/documents.js';
import { SimulatedClock } from '../simulation/clock.js';
import { Known, startStores } from './process.js';

const undo: (() => void)[] = [];
afterEach(() => {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) step();
});

/** A process with keyed stores over real documents and the real Saver, on a disk in memory. */
export class One {
  readonly counters = new KeyedCounters();
  readonly lines: { level: string; message: string }[] = [];
  readonly malformed: string[] = [];
  readonly documents: Documents;
  readonly stores: KeyedStores;

  constructor(
    readonly name = 'a',
    readonly disk = new Disk(),
    readonly known = new Known(),
    readonly clock = new SimulatedClock(),
  ) {
    const log = this.#log();
    const malformed = (what: string): void => void this.malformed.push(what);
    const { counters } = this;
    const { documents, stores } = startStores({ name, disk, known, clock, counters, log, malformed });
    this.documents = documents;
    this.stores = stores;
    undo.push(() => this.stores.close());
  }

  open<V>(options: Partial<KeyedStoreOptions<V>> & { shape: z.ZodType<V> }): Promise<KeyedStore<V>> {
    return this.stores.open({
      namespace: 'test',
      class: 'cache',
      maxEntries: 100,
      persistent: true,
      ...options,
    });
  }

  /** Another process of that name, on the same disk, after a kill of this one. */
  restarted(): One {
    this.disk.kill();
    this.stores.close();
    return new One(this.name, this.disk, this.known, this.clock);
  }

  /** Takes in what the other has, of the documents that both have open. */
  hear(other: One): void {
    for (const { id, handle } of [...other.documents.all()]) {
      const here = this.documents.get(id);
      if (here === undefined) continue;
      const lacking = A.getChangesSince(handle.doc(), A.getHeads(here.handle.doc()));
      this.documents.applyAll(here, lacking);
    }
  }

  warnings(): string[] {
    return this.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  }

  #log(): Log {
    const note = (level: string) => (_: unknown, message: string) => void this.lines.push({ level, message });
    const log: Log = {
      debug: note('debug'),
      info: note('info'),
      warn: note('warn'),
      error: note('error'),
      child: () => log,
    };
    return log;
  }
}
