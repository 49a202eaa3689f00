import { LiveActors } from '../../src/actors/live-actors.js';
import type { Plain, State } from '../../src/bot/records.js';
import { parseActorKey } from '../../src/documents/actor-key.js';
import { canonicalJson } from '../../src/documents/json.js';
import { joinRecords } from '../../src/documents/merge/join.js';
import { shardIndex } from '../../src/documents/placement.js';
import { toPlain } from '../../src/documents/plain.js';
import { encodeRecord, type FieldMap } from '../../src/documents/record.js';
import { ruleOf, type Kind } from '../../src/documents/schemas/kinds.js';
import { applyWrite, type Cause, type Write } from '../../src/documents/write.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import type { Disk, StoredRecord } from './disk.js';
import type { SimulatedProcess } from './process.js';

type ReadKind = Parameters<State['read']>[0];
const SHARDS = 16;

const uncounted = () => {};
const at = (kind: string, key: string) => canonicalJson([kind, key]);

/** One process's copy of the records, over its disk; joins, writes and placement are the product's own. */
export class SimulatedState implements State {
  readonly #records: Map<string, StoredRecord>;
  readonly #watchers = new Set<(changed: { kind: Kind; key: string }) => void>();
  /** Changes made here that changed something, in order. */
  readonly changes: { cause: string; kinds: Kind[] }[] = [];
  /** Told of every record that changed here by a write of its own. */
  onWritten: (record: StoredRecord) => void = () => {};

  readonly actors: LiveActors;
  actorTurn: State['actorTurn'] = () => Infinity;

  constructor(
    private readonly disk: Disk,
    private readonly process: SimulatedProcess,
    log: Log = silentLog,
  ) {
    this.#records = new Map(disk.records);
    this.actors = new LiveActors({
      clock: process.clock,
      log,
      count: uncounted,
      keys: (kind) => this.keys(kind),
      provenance: (kind, key) => this.provenance(kind, key),
      change: (writes, cause) => this.change(writes, cause),
      // Every change here resolves when it is durable, and nothing waits for more.
      flush: () => Promise.resolve(),
      onChange: (handle) => this.onChange(handle),
      turn: (actor, since) => this.actorTurn(actor, since),
    });
  }

  *keys(kind: Kind): Iterable<string> {
    for (const record of [...this.#records.values()]) if (record.kind === kind) yield record.key;
  }

  provenance(kind: Kind, key: string) {
    const record = this.#records.get(at(kind, key));
    return record && Object.fromEntries(record.fields);
  }

  read(kind: ReadKind, key: string): Plain | undefined {
    const record = this.#records.get(at(kind, key));
    return record && (toPlain(record.kind, record.fields, uncounted) as Plain);
  }

  *entries(kind: ReadKind): Iterable<[string, Plain]> {
    for (const record of [...this.#records.values()]) {
      if (record.kind === kind) yield [record.key, toPlain(record.kind, record.fields, uncounted) as Plain];
    }
  }

  async change(writes: readonly Write[], cause: Cause): Promise<void> {
    if (!this.process.alive) return new Promise(() => {});
    const written = writes.flatMap((write) => {
      const current = this.#records.get(at(write.kind, write.key))?.fields;
      const fields = applyWrite(write, current, cause, this.process.clock.now());
      return fields ? [this.#put({ kind: write.kind, key: write.key, fields })] : [];
    });
    if (written.length > 0) this.changes.push({ cause: cause.id, kinds: written.map(({ kind }) => kind) });
    for (const record of written) this.#tell(record);
    for (const record of written) this.onWritten(record);
    await this.process.outside(this.disk.writeMs);
    if (!this.process.alive) return new Promise(() => {});
    for (const record of written) this.#toDisk(record);
    await this.process.gate();
  }

  /** Takes records of another replica in, as a sync message does. */
  merge(records: Iterable<StoredRecord>): void {
    if (!this.process.alive) return;
    const changed: StoredRecord[] = [];
    for (const { kind, key, fields } of records) {
      const own = this.#records.get(at(kind, key))?.fields;
      const joined = own === undefined ? fields : joinRecords(own, fields, ruleOf(kind));
      if (own !== undefined && encodeRecord(own) === encodeRecord(joined)) continue;
      changed.push(this.#put({ kind, key, fields: joined }));
    }
    for (const record of changed) this.#toDisk(record);
    for (const record of changed) this.#tell(record);
  }

  all(): StoredRecord[] {
    return [...this.#records.values()];
  }

  shardOf(room: string | undefined, sender: string): number {
    if (room === undefined) return shardIndex(sender, SHARDS);
    const record = this.read('room', `matrix_room:${room}`);
    const person = record?.['matrix_user_id'];
    if (typeof person === 'string') return shardIndex(person, SHARDS);
    return shardIndex(record === undefined ? sender : room, SHARDS);
  }

  turnShardOf(actor: string): number {
    const place = parseActorKey(actor)?.place ?? actor;
    return this.shardOf(place.startsWith('!') ? place : undefined, place);
  }

  onChange(handle: (changed: { kind: Kind; key: string }) => void): () => void {
    this.#watchers.add(handle);
    return () => void this.#watchers.delete(handle);
  }

  #put(record: StoredRecord): StoredRecord {
    this.#records.set(at(record.kind, record.key), record);
    return record;
  }

  #tell({ kind, key }: StoredRecord): void {
    for (const watcher of [...this.#watchers]) watcher({ kind, key });
  }

  #toDisk(record: StoredRecord): void {
    joinInto(this.disk, [record]);
  }
}

/** What is on a disk only grows, whatever order writes come in. */
export function joinInto(disk: Disk, records: Iterable<StoredRecord>): void {
  for (const { kind, key, fields } of records) {
    const before = disk.records.get(at(kind, key))?.fields;
    const joined = before === undefined ? fields : joinRecords(before, fields, ruleOf(kind));
    disk.records.set(at(kind, key), { kind, key, fields: joined });
  }
}

/** A record written straight to a disk, before any process uses it. */
export function seed(
  disk: Disk,
  write: { kind: Kind; key: string; fields: Record<string, string | number | boolean> },
  now: number,
): void {
  const current: FieldMap | undefined = disk.records.get(at(write.kind, write.key))?.fields;
  const fields = applyWrite(write, current, { id: 'seed', ts: now }, now);
  if (fields) disk.records.set(at(write.kind, write.key), { kind: write.kind, key: write.key, fields });
}
