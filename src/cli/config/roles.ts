import { resolve } from 'node:path';
import { wrongSetting } from '../user-error.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { SettingsReader } from './reader.js';
import { storageKeys } from './storage-keys.js';
import * as setting from './settings.js';

/** Where `/healthz`, `/readyz` and `/metrics` are served; port 0 takes a free one, which the log names. */
interface Pages {
  host: string;
  port: number;
}

const pages = (read: SettingsReader): Pages => ({
  host: read.required(setting.httpHost),
  port: read.required(setting.httpPort),
});

/** Below what the disk of a data folder is called low. */
const lowDisk = (read: SettingsReader): { bytes: number; inodes: number } => ({
  bytes: read.required(setting.diskLow),
  inodes: read.required(setting.diskLowFiles),
});

const folder = (read: SettingsReader, fallback: string): string =>
  resolve(read.optional(setting.dataDir) ?? fallback);

export interface RelayConfig {
  clusterId: string;
  host: string;
  port: number;
  token: string | undefined;
  tokensFile: string | undefined;
  origins: string[];
  tls: { cert: string; key: string } | undefined;
  connections: number;
  documentIdleMs: number;
  storage: 'memory' | 'fs' | 'postgres' | 'pglite';
  storageKeys: Keyring;
  /** There with `postgres`. */
  databaseUrl: string | undefined;
  dataDir: string;
  lowDisk: { bytes: number; inodes: number };
  http: Pages;
}

export function relayConfig(read: SettingsReader): RelayConfig {
  const host = read.required(setting.relayHost);
  const storage = read.required(setting.relayStorage);
  const config = {
    clusterId: read.required(setting.clusterId),
    host,
    port: read.required(setting.relayPort),
    token: read.optional(setting.relayToken),
    tokensFile: read.optional(setting.relayTokensFile),
    origins: read.required(setting.relayOrigins),
    tls: relayTls(read),
    connections: read.required(setting.relayConnections),
    documentIdleMs: read.required(setting.relayDocumentIdle),
    storage,
    storageKeys: storageKeys(read),
    databaseUrl: storage === 'postgres' ? read.required(setting.relayDatabaseUrl) : undefined,
    dataDir: folder(read, 'data/relay'),
    lowDisk: lowDisk(read),
    http: pages(read),
  };
  if (config.token === undefined && config.tokensFile === undefined && !isLoopback(host)) {
    throw wrongSetting(
      `UNDERSTUDY_RELAY_TOKEN is missing (or UNDERSTUDY_RELAY_TOKENS_FILE): a relay that listens on ${host}, beyond this machine, needs a token`,
    );
  }
  return config;
}

function relayTls(read: SettingsReader): RelayConfig['tls'] {
  if (!read.isGiven(setting.relayTlsCert) && !read.isGiven(setting.relayTlsKey)) return undefined;
  return { cert: read.required(setting.relayTlsCert), key: read.required(setting.relayTlsKey) };
}

export interface PlatformConfig {
  host: string;
  port: number;
  token: string | undefined;
  agentsFile: string;
  databaseUrl: string | undefined;
  approvalMs: number;
  openai: { apiKey: string | undefined; baseUrl: string | undefined };
  dataDir: string;
  lowDisk: { bytes: number; inodes: number };
  http: Pages;
}

export function platformConfig(read: SettingsReader): PlatformConfig {
  const config = {
    host: read.required(setting.platformHost),
    port: read.required(setting.platformPort),
    token: read.optional(setting.platformToken),
    agentsFile: resolve(read.required(setting.agentsFile)),
    databaseUrl: read.optional(setting.databaseUrl),
    approvalMs: read.required(setting.approvalWait),
    openai: { apiKey: read.optional(setting.openaiKey), baseUrl: read.optional(setting.openaiUrl) },
    dataDir: folder(read, 'data/platform'),
    lowDisk: lowDisk(read),
    http: pages(read),
  };
  if (config.token === undefined && !isLoopback(config.host)) {
    throw wrongSetting(
      `UNDERSTUDY_PLATFORM_TOKEN is missing: a platform that listens on ${config.host}, beyond this machine, needs a token`,
    );
  }
  return config;
}

/** How the bot signs in: a token of the shared delivery device, or a login on it. */
export type Credentials = { accessToken: string } | { user: string; password: string };

export interface ReplicaSettings {
  homeserverUrl: string;
  credentials: Credentials;
  deviceId: string | undefined;
  clusterId: string;
  replicaId: string | undefined;
  dataDir: string;
  lowDisk: { bytes: number; inodes: number };
  storageKeys: Keyring;
  relays: { url: string; token?: string }[];
  platformUrl: string;
  platformToken: string | undefined;
  leaseMs: number;
  heartbeatMs: number;
  patienceMs: number;
  shards: number;
  generationEvents: number;
  generationEveryMs: number;
  backupEveryMs: number;
  backupKeep: number;
  autosaveMs: number;
  /** Of machine files; one that was named must be there. */
  machinesDir: { path: string; isNamed: boolean };
  /** The token of the scaffold to be made here, once. */
  seed: string | undefined;
  /** Where a scaffold puts agents; the platform reads it. */
  agentsFile: string;
  streaming: boolean;
  editsPerSecond: number;
  archiveAfterMs: number;
  prefix: string;
  /** Patterns of user ids; undefined: everybody. */
  allowedUsers: string[] | undefined;
  strangers: 'silence' | 'notice';
  invites: 'allowed' | 'all' | 'none';
  onEdit: 'ignore' | 'answer-again';
  threads: 'shared' | 'own';
  /** Patterns of room ids. */
  alwaysRooms: string[] | undefined;
  persistentState: ('threads' | 'sent' | 'prompts' | 'approvals')[];
  admins: string[] | undefined;
  http: Pages;
}

export function replicaSettings(read: SettingsReader): ReplicaSettings {
  const clusterId = read.required(setting.clusterId);
  const token = read.optional(setting.relayToken);
  const settings = {
    homeserverUrl: read.required(setting.homeserverUrl),
    credentials: credentials(read),
    deviceId: read.optional(setting.deviceId),
    clusterId,
    replicaId: read.optional(setting.replicaId),
    dataDir: folder(read, 'data/replica'),
    lowDisk: lowDisk(read),
    storageKeys: storageKeys(read),
    relays: read.required(setting.relayUrls).map((url) => (token === undefined ? { url } : { url, token })),
    platformUrl: read.required(setting.platformUrl),
    platformToken: read.optional(setting.platformToken),
    leaseMs: read.required(setting.lease),
    heartbeatMs: read.required(setting.heartbeat),
    patienceMs: read.required(setting.patience),
    shards: read.required(setting.shards),
    generationEvents: read.required(setting.generationEvents),
    generationEveryMs: read.required(setting.generationEvery),
    backupEveryMs: read.required(setting.backupEvery),
    backupKeep: read.required(setting.backupKeep),
    autosaveMs: read.required(setting.autosave),
    machinesDir: {
      path: resolve(read.required(setting.machinesDir)),
      isNamed: read.isGiven(setting.machinesDir),
    },
    seed: read.optional(setting.seed),
    agentsFile: resolve(read.required(setting.agentsFile)),
    streaming: read.required(setting.streaming) === 'on',
    editsPerSecond: read.required(setting.editsPerSecond),
    archiveAfterMs: read.required(setting.archiveAfter),
    prefix: read.required(setting.prefix),
    allowedUsers: read.optional(setting.allowedUsers),
    strangers: read.required(setting.strangers),
    invites: read.required(setting.invites),
    onEdit: read.required(setting.onEdit),
    threads: read.required(setting.threads),
    alwaysRooms: read.optional(setting.alwaysRooms),
    persistentState: read.required(setting.persistentState),
    admins: read.optional(setting.admins),
    http: pages(read),
  };
  if (settings.heartbeatMs * 2 > settings.leaseMs) {
    throw wrongSetting(
      `UNDERSTUDY_HEARTBEAT (${settings.heartbeatMs} ms) must be at most half of UNDERSTUDY_LEASE (${settings.leaseMs} ms), or every lost heartbeat would look like a death`,
    );
  }
  return settings;
}

export function credentials(read: SettingsReader): Credentials {
  const accessToken = read.optional(setting.accessToken);
  const user = read.optional(setting.user);
  if (accessToken !== undefined) return { accessToken };
  if (user !== undefined) return { user, password: read.required(setting.password) };
  throw wrongSetting(
    'MATRIX_ACCESS_TOKEN is missing: set it to an access token of the bot, or set MATRIX_USER and MATRIX_PASSWORD',
  );
}

/** Whether `host` can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
