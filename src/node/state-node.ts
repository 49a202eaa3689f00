import type { ActorSnapshot } from '../actors/snapshot.js';
import type { LiveActors } from '../actors/live-actors.js';
import type { Kind } from '../documents/schemas/kinds.js';
import type { Cause, Write } from '../documents/write.js';
import type { ClaimStoreOptions } from '../keyed/claim-options.js';
import type { ClaimStore } from '../keyed/claim-store.js';
import type { KeyedStoreOptions } from '../keyed/options.js';
import type { KeyedStore } from '../keyed/store.js';
import type { Channel, Sender } from '../sync/channel.js';
import type { LinkStatus } from '../sync/link.js';
import type { StorageStatus } from '../storage/durable.js';
import type { ActorHistory, NodeHistory } from './audit/node-history.js';
import type { NodeBackups } from './backup/node-backups.js';
import type { NodeMigrations } from './migrations/node-migrations.js';
import type { NodeClaims } from './claims/node-claims.js';
import type { NodeCounters } from './counters.js';
import type { NodeErasure } from './erasure/node-erasure.js';
import type { CutPorts } from './generations/ports.js';
import type { MatrixStorage } from './matrix-storage/sdk-shape.js';
import type { NodeEvent } from './node-events.js';
import type { OnceOptions } from './once/once-options.js';
import type { Turn } from './once/turn.js';
import type { RecordView } from './record-view.js';
import type { Replication } from './replication-lag.js';
import type { NodeStatus } from './status.js';

/** One document as this node holds it. */
export interface DocumentHeads {
  id: string;
  /** `cluster`, `routing/3`, `actors/3`. */
  name: string;
  /** Hex, sorted: equal on two nodes exactly when they hold the same changes. */
  heads: string[];
}

/** A replica's copy of the cluster's state. */
export interface StateNode extends RecordView {
  /** Replica id, and an incarnation that is new at every start. */
  readonly self: Sender;
  /** Ephemeral messages to the other replicas, and who of them is connected. */
  readonly channel: Channel;
  /** Travels in the message of every change made from now on (PROTOCOL O4). */
  epoch: number;

  /**
   * Makes all writes, or none when it rejects with a `DocumentError`: `bad-key`, `invalid-write`, `newer-schema`,
   * `damaged`. Visible to reads at once; resolves when durable on this replica's disk, and hangs while that disk
   * fails (`storage()` says so). One Automerge change per document, concurrent values joined first, none where
   * nothing changes; of writes that span documents, routing is on disk before actors. While a shard goes over to a
   * generation that this replica has not yet, writes to it wait, and are visible when that has come.
   *
   * @throws {NodeError} `closed`.
   */
  change(writes: readonly Write[], cause: Cause): Promise<void>;
  /** Resolves when everything that stands in the documents now is on disk. */
  flush(): Promise<void>;
  /** Called after records were touched, by this node or by others, once per touched record. Returns the unsubscriber. */
  onChange(handle: (changed: { kind: Kind; key: string }) => void): () => void;

  /**
   * Called with what happens to the state on this disk: damage and what healed it, migrations, writes that the disk
   * refuses and takes again. What happened since the node began to open is told first. Returns the unsubscriber.
   */
  onEvent(handle: (event: NodeEvent) => void): () => void;

  /** Statecharts whose current state is replicated. */
  readonly actors: LiveActors;
  /**
   * Milliseconds until this replica may carry out what an actor has owed since `since` (monotonic). By rendezvous
   * order over the connected replicas; a bot puts its own in its place.
   */
  actorTurn: (actor: string, since: number) => number;
  /**
   * Milliseconds until this replica may cut a shard that has grown enough since `since` (monotonic), and that nobody
   * has cut: as {@link actorTurn}, with more patience (PROTOCOL A6).
   */
  cutTurn: (shard: number, since: number) => number;

  /**
   * Called after a shard has gone over to another generation: what stands there may have changed as a whole, and what
   * changed is told by `onChange` as well (PROTOCOL A6). Returns the unsubscriber.
   */
  onMoved(handle: (shard: number) => void): () => void;
  /**
   * Begins a new generation of every actors shard that has grown enough and that `ports.mayCut` says is this
   * replica's to cut. Resolves to the number of cuts made; those that could not be made are counted, and due again.
   * The node does it by itself now and then, unless `generations.everyMs` is 0.
   *
   * @throws {NodeError} `closed`.
   */
  cutIfDue(ports: CutPorts): Promise<number>;

  /**
   * Every event of an actor from its very first one, cut generations included: those are read from audit documents, on
   * this disk or through a relay, and those that cannot be are named as missing.
   *
   * @throws {ActorError} `bad-key`.
   */
  history(actor: string): Promise<ActorHistory>;
  /**
   * Where an actor stood at a time, milliseconds; undefined when it had no event yet.
   *
   * @throws {ActorError} `bad-key`; {NodeError} `missing-history` when the answer may stand in what is missing.
   */
  historyAt(actor: string, time: number): Promise<ActorSnapshot | undefined>;
  /** The same, one generation at a time. */
  readonly histories: NodeHistory;

  /**
   * Opens a namespace of small entries that come and go: messages sent, prompts that wait for a button, threads taken
   * part in. In memory, or with `persistent` in documents of its own, rotated by time (docs/decisions/0011). Resolves
   * when what stands on this disk of it can be looked up.
   *
   * @throws {KeyedStoreError} `bad-options`, `already-open`; {NodeError} `closed`.
   */
  openKeyedStore<V>(options: KeyedStoreOptions<V>): Promise<KeyedStore<V>>;
  /**
   * Opens a namespace of claims: what one replica may do, and no other, as one relay decides (docs/decisions/0016).
   *
   * @throws {KeyedStoreError} `bad-options`, `already-open`; {NodeError} `closed`.
   */
  openKeyedStore(options: ClaimStoreOptions): Promise<ClaimStore>;
  /** Which relay decides on claims, and how that is changed. */
  readonly claims: NodeClaims;
  /** Entries that stand, by namespace. */
  keyedEntries(): Map<string, number>;

  /**
   * A storage provider for a bot on matrix-bot-sdk (docs/matrix-storage.md): sync token and filter on this replica,
   * values, registered users and completed transactions on all. The same one at every call. `lease`: how long after a
   * replica's death another takes its transaction up, milliseconds; 100 ms to 60 s, default 15 s.
   *
   * @throws {NodeError} `closed`.
   */
  matrixStorage(options?: { lease?: number }): MatrixStorage;
  /**
   * A handler of events that is called by one of the live replicas for each: `client.on('room.message',
   * node.once(handler))`. The event is claimed before, committed when the handler resolves, released when it throws;
   * when the replica dies another takes it up. Needs a relay that is named as the authority on claims.
   *
   * @throws {KeyedStoreError} `bad-options`; `already-open`, for a second handler of one name; {NodeError} `closed`.
   */
  once<E>(
    handler: (room: string, event: E, turn: Turn) => unknown,
    options?: OnceOptions,
  ): (room: string, event: E) => void;

  /** Shard whose owner answers in a room: of its person, else of the room, and with no record yet, or no room, of `sender`. */
  shardOf(room: string | undefined, sender: string): number;
  /** Shard whose owner carries out what an actor owes. */
  turnShardOf(actor: string): number;
  /** Shard in which an actor stands: of the person, the room or the thing that its key names. */
  shardOfActor(actor: string): number;
  /** Number of shards by which records are placed. */
  readonly shards: number;

  /** Backups of all documents, in the data folder: made, listed, counted. */
  readonly backups: NodeBackups;

  /** Versions of the data format: what stands where, what is due, what is newer than this software. */
  readonly migrations: NodeMigrations;

  /** Forgets persons, and says how far that is. */
  readonly erasure: NodeErasure;

  /** Of every document that is read: of an actors shard, of its current generation. */
  heads(): DocumentHeads[];
  /**
   * True once some relay has said what it has of every document and all of it stands here; false when
   * `deadlineMs` pass first, also because no relay is in reach.
   */
  synced(deadlineMs: number, signal?: AbortSignal): Promise<boolean>;
  /** True once some relay has stored all that stands here now; false when `deadlineMs` pass first. */
  replicated(deadlineMs: number, signal?: AbortSignal): Promise<boolean>;

  status(): NodeStatus;
  relays(): LinkStatus[];
  /** What stands here and no relay has said to have stored; undefined without relays. */
  replication(): Replication | undefined;
  storage(): StorageStatus;
  counters(): NodeCounters;
  /** Writes what is pending, with a deadline, and lets go of relays and folder. Idempotent. */
  close(): Promise<void>;
}
