import type { Schemas } from '../documents/migrations/schemas.js';
import type { Durability } from '../storage/atomic-write.js';
import type { OnTimed, StorageStatus } from '../storage/durable.js';
import type { Keyring } from '../storage/sealed-chunks.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { BackupOptions } from './backup/node-backups.js';
import type { GenerationOptions } from './generations/ports.js';
import type { MigrationOptions } from './migrations/options.js';
import type { NodeStatus } from './status.js';

export interface OpenNodeOptions {
  /** Secret: every document id is derived from it. */
  clusterId: string;
  /** This process's own folder, made with mode 0700; it holds `replica.json` and `documents/`. */
  dataDir: string;
  /** Made once and kept in the folder when absent. */
  replicaId?: string;
  /** All are used at once. With none the node is alone, and founds a cluster only with `found`. */
  relays: readonly { url: string; token?: string }[];
  /** Number of shards, 1–4096; read when a cluster is founded, and never again. Default 64. */
  shards?: number;
  /** When actors shards are cut, and by which bases (PROTOCOL A6). Default: those of the node's own actors. */
  generations?: GenerationOptions;
  /** When backups are made, and how many are kept, in `backups/` of the data folder. */
  backups?: BackupOptions;
  /** The versions of the data format that this software knows. Default: those of this release. */
  schemas?: Schemas;
  /** When documents are migrated (docs/decisions/0015). */
  migrations?: MigrationOptions;
  /** The operator says go: found or serve without the word of a relay (PROTOCOL C5). */
  found?: boolean;
  /** What is stored of documents is encrypted with the current one; for keys of text see `sealingKey`. */
  storageKeys?: Keyring;
  durability?: Durability;
  /** For metrics: how long the disk takes. */
  onTimed?: OnTimed;
  /** For metrics: called once, when documents can be read, with how their writes stand from then on. */
  onStorage?: (status: () => StorageStatus) => void;
  clock?: Clock;
  log?: Log;
  /** Ends the opening, also while it waits for peers. */
  signal?: AbortSignal;
  onStatus?: (status: NodeStatus) => void;
}

export const DEFAULT_SHARDS = 64;
