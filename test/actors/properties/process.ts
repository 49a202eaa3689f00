import * as A from '@automerge/automerge';
import { LiveActors } from '../../../src/actors/live-actors.js';
import { Machines } from '../../../src/actors/machines.js';
import type { DocumentKind } from '../../../src/documents/ids.js';
import { productSchemas } from '../../../src/documents/migrations/schemas.js';
import type { Cause, Write } from '../../../src/documents/write.js';
import { ChangeEvents } from '../../../src/node/change-events.js';
import { NodeCounters } from '../../../src/node/counters.js';
import { actorBases } from '../../../src/node/generations/actor-bases.js';
import { Attendance } from '../../../src/node/attendance.js';
import { Generations } from '../../../src/node/generations/generations.js';
import type { CutPorts } from '../../../src/node/generations/ports.js';
import { Moves } from '../../../src/node/moves.js';
import type { OpenDocument } from '../../../src/node/open-documents.js';
import { recordView } from '../../../src/node/record-view.js';
import { Records } from '../../../src/node/records.js';
import { openShards } from '../../../src/node/shards.js';
import { Writer } from '../../../src/node/writer.js';
import { type Log, silentLog } from '../../../src/telemetry/log.js';
import { ProcessClock } from '../../simulation/clock.js';
import { attendanceOn, storedIn } from './disk.js';
import { Documents } from './documents.js';
import { membersChange } from './members.js';
import type { Replica } from './replica.js';

/** One incarnation of a replica: a state node from its documents to its actors, as `node/live-node.ts` composes it, without a network. */
export class Process {
  readonly counters = new NodeCounters();
  readonly name: string;
  readonly documents: Documents;
  readonly machines = new Machines();
  readonly #clock: ProcessClock;
  readonly #events: ChangeEvents;
  readonly #records: Records;
  readonly #writer: Writer;
  readonly #log: Log;
  readonly #moves: Moves;
  #generations: Generations | undefined;
  #actors: LiveActors | undefined;
  #killed = false;

  static async start(replica: Replica): Promise<Process> {
    const process = new Process(replica);
    await process.#open();
    return process;
  }

  private constructor(private readonly replica: Replica) {
    const { disk, name, clockErrorMs, surroundings } = replica;
    this.name = name;
    this.#log = errorsTo(replica);
    this.#clock = new ProcessClock(surroundings.clock, clockErrorMs);
    this.#events = new ChangeEvents(this.counters, this.#log);
    this.documents = new Documents({
      storage: disk.adapter(),
      clock: this.#clock,
      log: this.#log,
      onTouched: (document, touched) => {
        if (document.name.kind === 'actors' && this.#generations?.changed(document) !== true) return;
        for (const { kind, key } of touched) {
          if (kind === 'room') this.#records.rooms.add(key, document.name.index);
          if (document.name.kind === 'cluster') this.#generations?.recordChanged(kind, key);
        }
        this.#events.touched(touched);
      },
    });
    this.#records = new Records(
      { document: (kind, index) => this.#find(kind, index)?.handle.doc() },
      this.counters.countMalformed,
    );
    this.#moves = new Moves({
      reload: (records) => {
        if (!this.#killed) this.#actors?.reload(records);
      },
      failed: () => void (this.counters.failedHandlers += 1),
      log: this.#log,
    });
    this.#writer = new Writer({
      schemas: productSchemas,
      documents: this.documents.surface,
      records: this.#records,
      clock: this.#clock,
      document: (kind, index) => this.document(kind, index),
      writable: (kind, index) => (kind === 'actors' ? this.#generations?.writable(index) : undefined),
      sent: (document, bytes) => surroundings.made(document, bytes),
      replica: name,
    });
  }

  get actors(): LiveActors {
    if (this.#actors === undefined) throw new Error('the actors are not there yet');
    return this.#actors;
  }

  /** The document of a family that is read now; of the actors that of the current generation. */
  document(kind: DocumentKind, index = 0): OpenDocument {
    const document = this.#find(kind, index);
    if (document === undefined) throw new Error(`no document ${kind}/${index} is open`);
    return document;
  }

  /** The latest version of the machine that is registered here. */
  get newest(): number {
    return this.replica.version;
  }

  /** No cut is known here whose bytes are not. */
  get writable(): boolean {
    return this.#generations?.complete() !== false;
  }

  async change(writes: readonly Write[], cause: Cause): Promise<void> {
    // Nobody hears of the promises of a process that is gone.
    if (this.#killed) return new Promise(() => {});
    await this.#writer.write(writes, cause, 0);
  }

  cut(ports: CutPorts = { mayCut: () => true }): Promise<number> {
    return this.#generations?.cutIfDue(ports) ?? Promise.resolve(0);
  }

  /** Takes changes of another replica in, one by one or together. */
  take(id: string, changes: readonly Uint8Array[], together: boolean): void {
    const document = this.documents.get(id);
    if (document === undefined || changes.length === 0) return;
    if (together) this.documents.applyAll(document, changes);
    else for (const change of changes) this.documents.apply(document, change);
  }

  kill(): void {
    this.#killed = true;
    this.#clock.kill();
    this.#actors?.close().catch((error: unknown) => this.replica.errors.push(error));
  }

  /** Gives the memory of its documents back. */
  free(): void {
    for (const { handle } of this.documents.all()) A.free(handle.doc());
  }

  async #open(): Promise<void> {
    const { replica, counters, documents } = this;
    const { disk, name, surroundings } = replica;
    surroundings.register(this.machines, replica.version);
    const cluster = await documents.open({ kind: 'cluster', index: 0, generation: 0 });
    documents.apply(cluster, membersChange(surroundings.replicas, surroundings.clock.now()));
    this.#records.readShards(surroundings.shards ?? 1);
    const attendance = await Attendance.open(attendanceOn(disk), this.#clock);
    attendance.keep(this.#log);
    this.#generations = new Generations(
      {
        schemas: productSchemas,
        documents: documents.surface,
        records: this.#records,
        options: { events: 1 },
        bases: actorBases(() => this.machines, counters.countMalformed),
        word: { acknowledged: () => Promise.resolve(true) },
        hasRelays: false,
        reachesRelay: () => false,
        counters,
        clock: this.#clock,
        log: this.#log,
        replica: name,
        attendance,
        epoch: () => 0,
        change: (writes, cause) => this.change(writes, cause),
        sent: (document, bytes) => surroundings.made(document, bytes),
        moved: ({ name: { index } }, touched) => {
          this.#events.touched(touched);
          this.#moves.moved(index, touched);
        },
      },
      storedIn(disk),
    );
    await this.#generations.start();
    await openShards(documents.surface, this.#records, async (index) => this.#generations?.openShard(index));
    this.#actors = this.#openActors();
  }

  #openActors(): LiveActors {
    const { replica, counters, documents } = this;
    const { surroundings } = replica;
    const view = recordView(this.#records, counters.countMalformed);
    const actors = new LiveActors({
      clock: this.#clock,
      log: this.#log,
      count: counters.countMalformed,
      keys: (kind) => view.keys(kind),
      provenance: (kind, key) => view.provenance(kind, key),
      change: (writes, cause) => this.change(writes, cause),
      flush: () => documents.saver.flushAll(),
      onChange: (handle) => this.#events.on(handle),
      turn: () => (replica.acts ? 0 : Infinity),
    });
    surroundings.register(actors, replica.version);
    for (const effect of surroundings.effects) {
      actors.carryOut('m', effect, (owed, { actor }) =>
        Promise.resolve(surroundings.carryOut(replica.name, actor, owed)),
      );
    }
    for (const key of surroundings.actors) {
      actors.get(key).subscribe((change) => surroundings.told(replica.name, change));
    }
    return actors;
  }

  #find(kind: DocumentKind, index: number): OpenDocument | undefined {
    if (kind === 'actors') return this.#generations?.current(index);
    return this.documents.named({ kind, index, generation: 0 });
  }
}

/** An error in a log is a failure of the schedule. */
function errorsTo(replica: Replica): Log {
  return {
    ...silentLog,
    error(fields, message) {
      replica.errors.push(Object.assign(new Error(message), { cause: fields['err'] ?? fields }));
    },
    child: () => errorsTo(replica),
  };
}
