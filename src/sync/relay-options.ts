import type { RequestListener } from 'node:http';
import type { StorageAdapterInterface } from '@automerge/automerge-repo';
import type { ClaimLimits } from '../claims/limits.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { ClaimRecords } from './claim-records.js';
import { defaultIntake, type IntakeLimits } from './intake.js';
import { defaultKeepalive, type KeepaliveOptions } from './keepalive.js';
import { defaultOutgoing, type OutgoingLimits } from './outgoing.js';
import type { ClaimStats } from './relay-claims.js';
import type { RelayTls } from './relay-server.js';
import type { RelayStats } from './relay-stats.js';
import type { RelayToken } from './relay-tokens.js';

export interface RelayOptions {
  /** Default `127.0.0.1`; beyond loopback a token is required. */
  host?: string;
  /** 0 takes a free port. */
  port: number;
  /** Any of these is let in, a plain text as a replica; undefined: everyone, on loopback only. */
  tokens: readonly (string | RelayToken)[] | undefined;
  /** Where documents are kept: what it holds is what a restarted relay has. */
  storage: StorageAdapterInterface;
  /**
   * Where it keeps its lasting name, and what an authority on claims must not forget when `storage` forgets. Default:
   * in `storage`.
   */
  identity?: ClaimRecords;
  /** What clients must offer (see `clusterCheck()`), so that one relay serves one cluster. */
  clusterCheck?: string;
  /** Web origins whose pages may connect; none by default. */
  origins?: readonly string[];
  /** Larger frames end their connection (1009). Default 16 MiB. */
  maxFrameBytes?: number;
  /** Serves `wss://`; without it a proxy does, or the network is trusted. */
  tls?: RelayTls;
  /** Plain HTTP requests on the same port (`/healthz`, `/metrics`); 404 without it. */
  onRequest?: RequestListener;
  limits?: Partial<RelayLimits>;
  log: Log;
  clock: Clock;
}

export interface RelayLimits {
  /** Of all roles; viewers and admins may take half of them. */
  connections: number;
  replicas: number;
  /** Bytes held for all connections together. */
  heldBytes: number;
  /** Milliseconds for which a viewer that tried to write is refused. */
  cooldownMs: number;
  /** Milliseconds without a message after which a document leaves memory. */
  documentIdleMs: number;
  /** Milliseconds from the upgrade to `hello`. */
  helloMs: number;
  /** Documents announced and not yet delivered, over all connections; each holds about 100 KB. */
  awaitedDocuments: number;
  intake: IntakeLimits;
  outgoing: OutgoingLimits;
  keepalive: KeepaliveOptions;
  claims: Partial<ClaimLimits>;
}

export interface Relay {
  url: string;
  port: number;
  /** Its lasting name, by which it can be the authority on claims; undefined while its storage does not answer. */
  readonly id: string | undefined;
  stats(): RelayStats;
  claims(): ClaimStats;
  /** Asked to close: takes nobody in any more. */
  draining(): boolean;
  /** From now on these count: who came with another is ended. Throws `bad-token`. */
  setTokens(tokens: readonly (string | RelayToken)[]): void;
  /** For connections from now on. Throws `bad-certificate`. */
  setTls(tls: RelayTls): void;
  /** Says goodbye to every connection (1001), stores what is in memory, frees the port. Idempotent. */
  close(): Promise<void>;
}

export const defaultLimits: RelayLimits = {
  connections: 1_024,
  replicas: 64,
  heldBytes: 512 * 1024 * 1024,
  cooldownMs: 30_000,
  documentIdleMs: 600_000,
  helloMs: 5_000,
  awaitedDocuments: 1_024,
  intake: defaultIntake,
  outgoing: defaultOutgoing,
  keepalive: defaultKeepalive,
  claims: {},
};
