import { LiveActors } from '../../src/actors/live-actors.js';
import type { Plain, State } from '../../src/bot/records.js';
import { parseActorKey } from '../../src/documents/actor-key.js';
import { canonicalJson } from '../../src/documents/json.js';
import { joinRecords } from '../../src/documents/merge/join.js';
import { shardIndex } from '../../src/documents/placement.js';
import { toPlain } from '../../src/documents/plain.js';
import { encodeRecord, highestStamp, type FieldMap } from '../../src/documents/record.js';
import { ruleOf, type Kind } from '../../src/documents/schemas/kinds.js';
import { applyWrite, type Cause, type Write } from '../../src/documents/write.js';
import { ErasedPlaces } from '../../src/node/erasure/erased-places.js';
import { forgottenContexts, type OwedContext } from '../../src/node/erasure/owed.js';
import { remains } from '../../src/node/erasure/remains.js';
import { erasureOfRoom } from '../../src/node/erasure/routing-sweep.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import type { Disk, StoredRecord } from './disk.js';
import type { SimulatedProcess } from './process.js';

const SHARDS = 16;

const uncounted = () => {};
const at = (kind: string, key: string) => canonicalJson([kind, key]);

/** One process's copy of the records, over its disk; joins, writes and placement are the product's own. */
export class SimulatedState implements State {
  readonly #records: Map<string, StoredRecord>;
  readonly #places = new ErasedPlaces('simulated');
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
    for (const record of this.#records.values()) this.#learn(record);
  }

  *keys(kind: Kind): Iterable<string> {
    for (const record of [...this.#records.values()])
      if (record.kind === kind && this.#fieldsOf(kind, record.key) !== undefined) yield record.key;
  }

  provenance(kind: Kind, key: string) {
    const fields = this.#fieldsOf(kind, key);
    return fields && Object.fromEntries(fields);
  }

  read(kind: Kind, key: string): Plain | undefined {
    const fields = this.#fieldsOf(kind, key);
    return fields && (toPlain(kind, fields, uncounted) as Plain);
  }

  *entries(kind: Kind): Iterable<[string, Plain]> {
    for (const key of this.keys(kind)) yield [key, this.read(kind, key) ?? {}];
  }

  /** Without what was forgotten, as a node shows it. */
  #fieldsOf(kind: Kind, key: string): FieldMap | undefined {
    return remains(kind, key, this.#records.get(at(kind, key))?.fields, this.#places);
  }

  readonly erasure = {
    forgottenAt: (person: string) => this.#places.of(person)?.at,
    owedContexts: () =>
      [...forgottenContexts(this.entries('erasure'), 'simulated')].filter(({ isOwed }) => isOwed),
    contextGone: ({ place, chat, to }: OwedContext) =>
      this.change([{ kind: 'erasure', key: `erasure:${place}`, fields: { [`gone:${chat}`]: to } }], {
        id: 'gone',
      }),
  };

  /** Forgets a person, as a node that is told to. */
  forget(person: string): Promise<void> {
    const now = Math.floor(this.process.clock.now());
    const stamps = [...this.#records.values()].flatMap(({ fields }) => highestStamp(fields) ?? 0);
    const forgotten = { to: Math.max(now, ...stamps), at: now };
    const rooms = [...this.entries('room')].filter(([, room]) => room['matrix_user_id'] === person);
    const hash = this.#places.hashOf(person);
    const writes = rooms.map(([key, room]) =>
      erasureOfRoom(this.#places, key.slice('matrix_room:'.length), person, forgotten, [
        String(room['platform_chat_id']),
      ]),
    );
    return this.change([{ kind: 'erasure', key: `erasure:${hash}`, fields: forgotten }, ...writes], {
      id: 'forget',
    });
  }

  async change(writes: readonly Write[], cause: Cause): Promise<void> {
    if (!this.process.alive) return new Promise(() => {});
    const written = writes.flatMap((write) => {
      const current = this.#fieldsOf(write.kind, write.key);
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

  #learn({ kind, key }: StoredRecord): void {
    if (kind !== 'erasure') return;
    const { to, at: when } = this.read(kind, key) ?? {};
    if (typeof to !== 'number' || typeof when !== 'number') return;
    if (this.#places.learn(key.slice('erasure:'.length), { to, at: when })) this.actors.reload();
  }

  #put(record: StoredRecord): StoredRecord {
    this.#records.set(at(record.kind, record.key), record);
    return record;
  }

  #tell(record: StoredRecord): void {
    this.#learn(record);
    const { kind, key } = record;
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
