import * as A from '@automerge/automerge';
import type { ActorSnapshot } from '../actors/snapshot.js';
import { LiveActors } from '../actors/live-actors.js';
import type { ClaimStoreOptions } from '../keyed/claim-options.js';
import type { ClaimStore } from '../keyed/claim-store.js';
import type { KeyedStoreOptions } from '../keyed/options.js';
import type { KeyedStore } from '../keyed/store.js';
import { describeDocument, type DocumentKind } from '../documents/ids.js';
import type { Touched } from '../documents/document.js';
import { productSchemas, type Schemas } from '../documents/migrations/schemas.js';
import { kinds, type Kind, type RecordOf } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import type { Channel, Sender } from '../sync/channel.js';
import type { Relays } from '../sync/connect.js';
import type { DurableStorage } from '../storage/durable.js';
import { actorTurn } from './actor-turn.js';
import type { ActorHistory, NodeHistory } from './audit/node-history.js';
import { openHistories } from './audit/open-histories.js';
import { AuditStore } from './audit/store.js';
import { chunksOf } from '../backup/stored-document.js';
import { Healing } from './backup/healing.js';
import { NodeBackups } from './backup/node-backups.js';
import { ChangeEvents } from './change-events.js';
import type { NodeClaims } from './claims/node-claims.js';
import { startClaims } from './claims/start-claims.js';
import type { NodeCounters } from './counters.js';
import { NodeError } from './errors.js';
import { ErasedPlaces } from './erasure/erased-places.js';
import { NodeErasure } from './erasure/node-erasure.js';
import { EffectWork } from './effect-work.js';
import { FastPath } from './fast-path.js';
import { ensureGenesis } from './founding.js';
import type { Generations } from './generations/generations.js';
import type { CutPorts } from './generations/ports.js';
import type { KeyedStores } from './keyed/keyed-stores.js';
import type { LiveNodeParts, NodeInside } from './inside.js';
import { register } from './membership.js';
import type { MatrixStorage } from './matrix-storage/sdk-shape.js';
import type { NodeMigrations } from './migrations/node-migrations.js';
import { Moves } from './moves.js';
import { OpenDocuments, type OpenDocument } from './open-documents.js';
import type { NodeEvent } from './node-events.js';
import type { OnceOptions } from './once/once-options.js';
import type { Turn } from './once/turn.js';
import { DEFAULT_SHARDS } from './options.js';
import { recordView, type Provenance, type RecordView } from './record-view.js';
import { Records } from './records.js';
import { fillWhatDiskLost } from './recovery.js';
import { RelayWord } from './relay-word.js';
import { ReplicationLag, type Replication } from './replication-lag.js';
import { nameOf, openShards } from './shards.js';
import { openGenerations, scheduleCuts } from './start-generations.js';
import { startKeyed } from './start-keyed.js';
import { startMatrixStorage, type NodeMatrix } from './start-matrix-storage.js';
import { makeMigrations } from './start-migrations.js';
import type { DocumentHeads, StateNode } from './state-node.js';
import type { NodeStatus } from './status.js';
import { until } from './until.js';
import { Writer } from './writer.js';

/** How long closing waits for generations that are being changed, milliseconds. */
const CLOSE_MS = 5_000;
const LOOK_AGAIN_MS = 20;
/** How long the next in rank leaves a shard that is due to the one before it, milliseconds. */
const CUT_PATIENCE_MS = 10 * 60_000;

/** {@link StateNode} over open documents, a folder and relays. */
export class LiveNode implements StateNode {
  readonly self: Sender;
  readonly channel: Channel;
  epoch = 0;
  readonly #parts: LiveNodeParts;
  readonly #counters: NodeCounters;
  readonly #documents: OpenDocuments;
  readonly #records: Records;
  readonly #view: RecordView;
  readonly #events: ChangeEvents;
  readonly #fastPath: FastPath;
  readonly #effectWork: EffectWork;
  readonly #writer: Writer;
  readonly #word: RelayWord;
  readonly #audit: AuditStore;
  readonly histories: NodeHistory;
  readonly backups: NodeBackups;
  readonly migrations: NodeMigrations;
  readonly erasure: NodeErasure;
  readonly #forgotten: ErasedPlaces;
  readonly #schemas: Schemas;
  readonly #moves: Moves;
  readonly #inside: NodeInside;
  #status: NodeStatus = { state: 'opening' };
  #actors: LiveActors | undefined;
  actorTurn = (actor: string, since: number): number => this.#turn(this.#records.turnShardOf(actor), since);
  cutTurn = (shard: number, since: number): number => this.#turn(shard, since, CUT_PATIENCE_MS);
  #closing: Promise<void> | undefined;
  #generations: Generations | undefined;
  #keyed: KeyedStores | undefined;
  #claims: NodeClaims | undefined;
  #matrix: NodeMatrix | undefined;
  #lag: ReplicationLag | undefined;

  constructor(parts: LiveNodeParts) {
    const { clock, log, relays } = parts;
    this.#parts = parts;
    this.#counters = parts.counters;
    this.self = parts.self;
    this.channel = relays.channel;
    this.#schemas = parts.options.schemas ?? productSchemas;
    this.#events = new ChangeEvents(this.#counters, log);
    this.#documents = new OpenDocuments({
      clusterId: parts.options.clusterId,
      peerId: parts.peerId,
      storage: parts.storage,
      clock,
      log,
      onTouched: (document, touched) => this.#touched(document, touched),
      onFailed: () => void (this.#counters.failedHandlers += 1),
      onIncomplete: (id) => parts.incomplete.add(id),
      fromBackup: (name, id, onDisk) => healing.fromBackup(name, id, onDisk),
    });
    this.backups = new NodeBackups({
      dataDir: parts.options.dataDir,
      clusterId: parts.options.clusterId,
      replica: this.self.replica,
      documents: this.#documents,
      stored: chunksOf(parts.storage),
      options: parts.options.backups ?? {},
      ...(parts.options.storageKeys && { keys: parts.options.storageKeys }),
      changed: () => healing.changed(),
      clock,
      log,
    });
    const { incomplete, counters, events } = parts;
    const healing = new Healing({ folder: this.backups.folder, incomplete, counters, events, log });
    this.#forgotten = new ErasedPlaces(parts.options.clusterId);
    this.#records = new Records(
      { document: (kind, index) => this.#openDocument(kind, index)?.handle.doc() },
      this.#counters.countMalformed,
      this.#schemas,
      this.#forgotten,
    );
    this.#view = recordView(this.#records, this.#counters.countMalformed);
    this.#fastPath = new FastPath(this.channel, this.#documents, this.#counters, log);
    this.#effectWork = new EffectWork(this.channel, clock);
    this.#writer = new Writer({
      documents: this.#documents,
      records: this.#records,
      schemas: this.#schemas,
      clock,
      document: (kind, index) => this.#document(kind, index),
      writable: (kind, index) => (kind === 'actors' ? this.#generations?.writable(index) : undefined),
      sent: (document, bytes) => this.#fastPath.send(document, bytes),
      replica: this.self.replica,
    });
    this.#word = new RelayWord(relays, this.#documents, clock);
    this.#audit = new AuditStore({
      documents: this.#documents,
      storage: parts.storage,
      word: this.#word,
      hasRelays: parts.options.relays.length > 0,
      log,
    });
    this.#inside = this.#insideOf(parts);
    this.histories = openHistories(this.#inside);
    this.erasure = new NodeErasure({
      inside: this.#inside,
      reread: (touched) => {
        this.#events.touched(touched);
        this.#moves.reread(touched);
      },
    });
    this.migrations = makeMigrations(
      this.#inside,
      () => this.#currentDocuments(),
      async () => (await this.backups.create('migration')).name,
    );
    this.#moves = new Moves({
      reload: (records) => this.#closing === undefined && this.#actors?.reload(records),
      failed: () => void (this.#counters.failedHandlers += 1),
      log,
    });
  }

  /** Called once, by `openNode`. */
  async open(): Promise<void> {
    const { clock, log, relays, cleanup, replica, options } = this.#parts;
    const { signal, found = false } = options;
    const cluster = await this.#documents.open(nameOf('cluster', 0));
    this.#readShards();
    this.erasure.learnAll();
    for (const adapter of relays.networkAdapters) this.#documents.connect(adapter);
    cleanup.add('fast path', () => this.#fastPath.stop());
    cleanup.add('effect work', () => this.#effectWork.stop());
    this.#keyed = await startKeyed(this.#inside);
    cleanup.add('keyed stores', () => this.#keyed?.close());
    this.#claims = await startClaims(this.#inside, this);
    cleanup.add('claims', () => this.#claims?.close());
    await ensureGenesis({
      cluster,
      replica,
      relays: this.#word,
      found,
      shards: options.shards ?? DEFAULT_SHARDS,
      now: () => clock.now(),
      genesis: () => this.read('cluster', kinds.cluster.only)?.genesis_ts,
      hasMembers: () => [...this.keys('member')].length > 0,
      change: (writes, cause) => this.change(writes, cause),
      report: (status) => this.#report(status),
      signal,
      log,
    });
    this.#readShards();
    this.#generations = await openGenerations(this.#inside);
    cleanup.add('generations', () => this.#generations?.close(CLOSE_MS));
    await this.#generations.start();
    cleanup.add('audit documents', () => this.#audit.close());
    await this.#openShards();
    if (!found) {
      const { incomplete, counters, events } = this.#parts;
      const report = (status: NodeStatus): void => this.#report(status);
      await fillWhatDiskLost(incomplete, {
        documents: this.#documents,
        word: this.#word,
        clock,
        log,
        counters,
        events,
        report,
        signal,
      });
    }
    signal?.throwIfAborted();
    const stop = await register({
      self: this.self,
      clock,
      log,
      schema: this.#schemas.known,
      read: (key) => this.read('member', key),
      change: (writes, cause) => this.change(writes, cause),
    });
    cleanup.add('membership', stop);
    this.#actors = this.#openActors();
    cleanup.add('actors', () => this.#actors?.close());
    if (options.relays.length > 0) {
      const documents = () => this.#currentDocuments();
      this.#lag = new ReplicationLag({ documents, word: this.#word, clock, log });
      cleanup.add('replication lag', () => this.#lag?.close());
    }
    scheduleCuts(this.#inside, this, this.#generations);
    cleanup.add('erasure', () => this.erasure.close());
    await this.erasure.start();
    this.migrations.on(this.#parts.events.emit);
    this.migrations.start();
    cleanup.add('migrations', () => this.migrations.close());
    this.backups.start();
    cleanup.add('backups', () => this.backups.close());
    this.#matrix = await startMatrixStorage(this.#inside, {
      openStore: (store) => this.openKeyedStore(store),
      openClaims: (store) => this.claims.open(store),
      hasAuthority: () => this.claims.authority() !== undefined,
    });
    cleanup.add('matrix storage', () => this.#matrix?.close());
    this.#report({ state: 'ready', since: clock.now() });
  }

  read<K extends Kind>(kind: K, key: string): RecordOf<K> | undefined {
    return this.#view.read(kind, key);
  }

  keys(kind: Kind): Iterable<string> {
    return this.#view.keys(kind);
  }

  provenance(kind: Kind, key: string): Record<string, Provenance> | undefined {
    return this.#view.provenance(kind, key);
  }

  entries<K extends Kind>(kind: K): Iterable<[string, RecordOf<K>]> {
    return this.#view.entries(kind);
  }

  // Async so that every failure is a rejection; all of it up to the flush runs before this returns.
  async change(writes: readonly Write[], cause: Cause): Promise<void> {
    if (this.#closing !== undefined) throw new NodeError('closed', 'the node is closed');
    await this.#writer.write(writes, cause, this.epoch);
  }

  flush(): Promise<void> {
    return this.#documents.saver.flushAll();
  }

  onChange(handle: (changed: Touched) => void): () => void {
    return this.#events.on(handle);
  }

  onEvent(handle: (event: NodeEvent) => void): () => void {
    return this.#parts.events.on(handle);
  }

  onMoved(handle: (shard: number) => void): () => void {
    return this.#moves.on(handle);
  }

  cutIfDue(ports: CutPorts): Promise<number> {
    if (this.#closing !== undefined || this.#generations === undefined) {
      return Promise.reject(new NodeError('closed', 'the node is closed'));
    }
    return this.#generations.cutIfDue({
      archive: (shard, document, signal) => this.histories.archive(shard, document, signal),
      ...ports,
    });
  }

  openKeyedStore(options: ClaimStoreOptions): Promise<ClaimStore>;
  openKeyedStore<V>(options: KeyedStoreOptions<V>): Promise<KeyedStore<V>>;
  async openKeyedStore<V>(
    options: KeyedStoreOptions<V> | ClaimStoreOptions,
  ): Promise<KeyedStore<V> | ClaimStore> {
    if (this.#closing !== undefined || this.#keyed === undefined) {
      throw new NodeError('closed', 'the node is closed');
    }
    return options.class === 'claim' ? this.claims.open(options) : this.#keyed.open(options);
  }

  get claims(): NodeClaims {
    if (this.#claims === undefined) throw new NodeError('closed', 'the node is not open yet');
    return this.#claims;
  }

  matrixStorage({ lease }: { lease?: number } = {}): MatrixStorage {
    const { storage } = this.#openMatrix();
    if (lease !== undefined) storage.transactionLease = lease;
    return storage;
  }

  once<E>(
    handler: (room: string, event: E, turn: Turn) => unknown,
    options: OnceOptions = {},
  ): (room: string, event: E) => void {
    return this.#openMatrix().once.add(handler, options);
  }

  keyedEntries(): Map<string, number> {
    return this.#keyed?.entries() ?? new Map<string, number>();
  }

  shardOf(room: string | undefined, sender: string): number {
    return this.#records.shardOf(room, sender);
  }

  get actors(): LiveActors {
    if (this.#actors === undefined) throw new NodeError('closed', 'the node is not open yet');
    return this.#actors;
  }

  history(actor: string): Promise<ActorHistory> {
    return this.histories.history(actor);
  }

  historyAt(actor: string, time: number): Promise<ActorSnapshot | undefined> {
    return this.histories.at(actor, time);
  }

  turnShardOf(actor: string): number {
    return this.#records.turnShardOf(actor);
  }

  shardOfActor(actor: string): number {
    return this.#records.shardOfActor(actor);
  }

  get shards(): number {
    return this.#records.shards.placing;
  }

  heads(): DocumentHeads[] {
    return this.#currentDocuments().map(({ id, name, handle }) => ({
      id,
      name: describeDocument(name),
      heads: A.getHeads(handle.doc()).sort(),
    }));
  }

  async synced(deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts;
    const from = clock.monotonic();
    if (!(await this.#word.caughtUp([...this.#documents.all()], { deadlineMs, signal }))) return false;
    // What came may have brought a cut, and so another document to wait for.
    const left = Math.max(0, deadlineMs - (clock.monotonic() - from));
    const complete = () => this.#generations?.complete() !== false;
    return until(complete, { clock, everyMs: LOOK_AGAIN_MS, deadlineMs: left, signal });
  }

  replicated(deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
    return this.#word.acknowledged(() => this.#currentDocuments(), { deadlineMs, signal });
  }

  status(): NodeStatus {
    return this.#status;
  }

  relays(): ReturnType<Relays['status']> {
    return this.#parts.relays.status();
  }

  replication(): Replication | undefined {
    return this.#lag?.status();
  }

  storage(): ReturnType<DurableStorage['status']> {
    return this.#parts.storage.status();
  }

  counters(): NodeCounters {
    return this.#counters;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // What cannot be written is said by the storage as it closes, which has the deadline.
    this.flush().catch((error: unknown) => this.#parts.log.error({ err: error }, 'the last flush failed'));
    await this.#parts.cleanup.run();
    this.#report({ state: 'closed' });
  }

  /** O1: who does not know the schema of the documents carries nothing out. */
  #turn(shard: number, since: number, patienceMs?: number): number {
    if (this.migrations.isReader()) return Infinity;
    return actorTurn(this.channel, shard, since, this.#parts.clock.monotonic(), patienceMs);
  }

  #insideOf(parts: LiveNodeParts): NodeInside {
    const [actors, generations, epoch] = [() => this.#actors, () => this.#generations, () => this.epoch];
    return {
      parts,
      documents: this.#documents,
      records: this.#records,
      view: this.#view,
      word: this.#word,
      audit: this.#audit,
      fastPath: this.#fastPath,
      counters: this.#counters,
      schemas: this.#schemas,
      forgotten: this.#forgotten,
      get actors() {
        return actors();
      },
      get generations() {
        return generations();
      },
      get epoch() {
        return epoch();
      },
      change: (writes, cause) => this.change(writes, cause),
      moved: (document, touched) => this.#moved(document, touched),
    };
  }

  #openMatrix(): NodeMatrix {
    if (this.#closing !== undefined || this.#matrix === undefined) {
      throw new NodeError('closed', 'the node is closed');
    }
    return this.#matrix;
  }

  #openActors(): LiveActors {
    const { clock, log } = this.#parts;
    return new LiveActors({
      clock,
      log,
      count: this.#counters.countMalformed,
      keys: (kind) => this.keys(kind),
      provenance: (kind, key) => this.provenance(kind, key),
      change: (writes, cause) => this.change(writes, cause),
      flush: () => this.flush(),
      onChange: (handle) => this.onChange(handle),
      turn: (actor, since) => this.actorTurn(actor, since),
      work: this.#effectWork,
      registered: () => this.#generations?.machineRegistered(),
    });
  }

  #touched(document: OpenDocument, touched: Touched[]): void {
    // Of a generation that is not read, nothing is to be told: what counts of it shows in the one that is.
    if (document.name.kind === 'actors' && this.#generations?.changed(document) !== true) return;
    if (touched.length === 0) return;
    this.erasure.changed(touched);
    if (document.name.kind === 'keyed') this.#keyed?.touched(document, touched);
    for (const { kind, key } of touched) {
      if (kind === 'room') this.#records.rooms.add(key, document.name.index);
      if (kind === 'cluster') this.#readShards();
      if (kind === 'authority') this.#claims?.tell();
      if (document.name.kind === 'cluster') this.#generations?.recordChanged(kind, key);
    }
    this.#events.touched(touched);
  }

  #moved({ name: { index } }: OpenDocument, touched: Touched[]): void {
    this.#events.touched(touched);
    this.#moves.moved(index, touched);
  }

  #openShards(): Promise<void> {
    return openShards(this.#documents, this.#records, async (index) => this.#generations?.openShard(index));
  }

  /** Two foundings apart may have had different numbers of shards: what the other placed is opened too. */
  #readShards(): void {
    const before = this.#records.shards.opened;
    const { placing, opened } = this.#records.readShards(this.#parts.options.shards ?? DEFAULT_SHARDS);
    if (opened !== placing && before <= placing) {
      this.#parts.log.error(
        { placing, opened },
        'this cluster was founded twice, with different numbers of shards: no history is cut off any more',
      );
    }
    if (this.#status.state !== 'ready' || opened <= before) return;
    this.#openShards().catch((error: unknown) => {
      this.#parts.log.error({ err: error, shards: opened }, 'shards of another founding could not be opened');
    });
  }

  /** The document that is read and written: of an actors shard, that of its current generation. */
  #openDocument(kind: DocumentKind, index: number): OpenDocument | undefined {
    if (kind === 'actors') return this.#generations?.current(index);
    return this.#documents.named(nameOf(kind, index));
  }

  #currentDocuments(): OpenDocument[] {
    return [...this.#documents.all()].filter(
      ({ id, name }) => name.kind === 'keyed' || this.#openDocument(name.kind, name.index)?.id === id,
    );
  }

  #document(kind: DocumentKind, index: number): OpenDocument {
    const document = this.#openDocument(kind, index);
    if (document === undefined) throw new NodeError('closed', `document ${kind}/${index} is not open`);
    return document;
  }

  #report(status: NodeStatus): void {
    this.#status = status;
    this.#parts.options.onStatus?.(status);
  }
}
