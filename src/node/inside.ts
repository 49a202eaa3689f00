import type { PeerId } from '@automerge/automerge-repo';
import type { LiveActors } from '../actors/live-actors.js';
import type { Touched } from '../documents/document.js';
import type { Schemas } from '../documents/migrations/schemas.js';
import type { Cause, Write } from '../documents/write.js';
import type { DurableStorage } from '../storage/durable.js';
import type { Sender } from '../sync/channel.js';
import type { Relays } from '../sync/connect.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { AuditStore } from './audit/store.js';
import type { Cleanup } from './cleanup.js';
import type { NodeCounters } from './counters.js';
import type { ErasedPlaces } from './erasure/erased-places.js';
import type { FastPath } from './fast-path.js';
import type { Generations } from './generations/generations.js';
import type { NodeEvents } from './node-events.js';
import type { OpenDocument, OpenDocuments } from './open-documents.js';
import type { OpenNodeOptions } from './options.js';
import type { RecordView } from './record-view.js';
import type { Records } from './records.js';
import type { RelayWord } from './relay-word.js';
import type { ReplicaFile } from './replica-file.js';

/** What a node is made from. */
export interface LiveNodeParts {
  options: OpenNodeOptions;
  clock: Clock;
  log: Log;
  self: Sender;
  peerId: PeerId;
  replica: ReplicaFile;
  storage: DurableStorage;
  relays: Relays;
  /** Documents that have lost chunks on this disk; filled as they are read. */
  incomplete: Set<string>;
  counters: NodeCounters;
  events: NodeEvents;
  cleanup: Cleanup;
}

/** What the pieces of an open node may ask of it and of each other. */
export interface NodeInside {
  readonly parts: LiveNodeParts;
  readonly documents: OpenDocuments;
  readonly records: Records;
  readonly view: RecordView;
  readonly word: RelayWord;
  readonly audit: AuditStore;
  readonly fastPath: FastPath;
  readonly counters: NodeCounters;
  readonly schemas: Schemas;
  readonly forgotten: ErasedPlaces;
  /** Undefined until they are open. */
  readonly actors: LiveActors | undefined;
  readonly generations: Generations | undefined;
  readonly epoch: number;
  change(writes: readonly Write[], cause: Cause): Promise<void>;
  /** Another generation of a shard is read from now on; these records stand otherwise. */
  moved(document: OpenDocument, touched: Touched[]): void;
}
