import type { z } from 'zod';
import * as value from './values.js';

/** One setting, under one name in the environment, in understudy.yaml and in every message. */
export interface Setting<T> {
  /** The variable's name. In understudy.yaml: without `UNDERSTUDY_`, in lower case. */
  name: string;
  schema: z.ZodType<T, string>;
  /** Never a flag, never shown; may be given as `NAME_FILE`. */
  secret?: true;
  /** The text that stands for an absent one. */
  fallback?: string;
  /** Completes "NAME is missing: …". */
  missing?: string;
}

const define = <T>(
  name: string,
  schema: z.ZodType<T, string>,
  rest: Omit<Setting<T>, 'name' | 'schema'> = {},
) => ({
  name,
  schema,
  ...rest,
});

export const homeserverUrl = define('MATRIX_HOMESERVER_URL', value.httpUrl, {
  missing: 'set it to the address of your homeserver, for example https://matrix.example.org',
});
export const accessToken = define('MATRIX_ACCESS_TOKEN', value.text, { secret: true });
export const user = define('MATRIX_USER', value.text);
export const password = define('MATRIX_PASSWORD', value.text, {
  secret: true,
  missing: 'MATRIX_USER is set and needs its password',
});
export const deviceId = define('MATRIX_DEVICE_ID', value.text);
export const clusterId = define('UNDERSTUDY_CLUSTER_ID', value.clusterId, {
  secret: true,
  missing:
    '`understudy cluster new` prints one; give the same one to every replica and relay of the cluster, and keep it secret',
});
export const replicaId = define('UNDERSTUDY_REPLICA_ID', value.replicaId);
export const dataDir = define('UNDERSTUDY_DATA_DIR', value.text);
export const relayUrls = define('UNDERSTUDY_RELAY_URLS', value.relayUrls, {
  fallback: 'ws://127.0.0.1:3030',
});
export const relayToken = define('UNDERSTUDY_RELAY_TOKEN', value.text, { secret: true });
export const relayStorage = define(
  'UNDERSTUDY_RELAY_STORAGE',
  value.oneOf('fs', 'memory', 'postgres', 'pglite'),
  {
    fallback: 'fs',
  },
);
export const relayDatabaseUrl = define('UNDERSTUDY_RELAY_DATABASE_URL', value.postgresUrl, {
  secret: true,
  missing: 'the storage postgres needs the URL of a database, such as postgres://user:password@host/relay',
});
/** What is stored of documents is encrypted with it. */
export const storageKey = define('UNDERSTUDY_STORAGE_KEY', value.storageKey, { secret: true });
/** While a change of the key is on its way: the one before, with which some may still be encrypted. */
export const storageKeyPrevious = define('UNDERSTUDY_STORAGE_KEY_PREVIOUS', value.storageKey, {
  secret: true,
});
export const relayHost = define('UNDERSTUDY_RELAY_HOST', value.text, { fallback: '127.0.0.1' });
export const relayPort = define('UNDERSTUDY_RELAY_PORT', value.port, { fallback: '3030' });
/** A list of tokens with roles, read again when it changes. */
export const relayTokensFile = define('UNDERSTUDY_RELAY_TOKENS_FILE', value.text);
export const relayOrigins = define('UNDERSTUDY_RELAY_ORIGINS', value.origins, { fallback: '' });
export const relayTlsCert = define('UNDERSTUDY_RELAY_TLS_CERT_FILE', value.text, {
  missing: 'UNDERSTUDY_RELAY_TLS_KEY_FILE is set and needs its certificate',
});
export const relayTlsKey = define('UNDERSTUDY_RELAY_TLS_KEY_FILE', value.text, {
  missing: 'UNDERSTUDY_RELAY_TLS_CERT_FILE is set and needs its key',
});
export const relayConnections = define('UNDERSTUDY_RELAY_CONNECTIONS', value.wholeNumber(2, 100_000), {
  fallback: '1024',
});
/** What was not used for so long leaves the relay's memory. */
export const relayDocumentIdle = define('UNDERSTUDY_RELAY_DOCUMENT_IDLE', value.duration, {
  fallback: '10m',
});
export const platformUrl = define('UNDERSTUDY_PLATFORM_URL', value.httpUrl, {
  fallback: 'http://127.0.0.1:3040',
});
export const platformToken = define('UNDERSTUDY_PLATFORM_TOKEN', value.text, { secret: true });
export const platformHost = define('UNDERSTUDY_PLATFORM_HOST', value.text, { fallback: '127.0.0.1' });
export const platformPort = define('UNDERSTUDY_PLATFORM_PORT', value.port, { fallback: '3040' });
export const approvalWait = define('UNDERSTUDY_APPROVAL_WAIT', value.duration, { fallback: '24h' });
export const agentsFile = define('UNDERSTUDY_AGENTS_FILE', value.text, { fallback: 'data/agents.yaml' });
export const databaseUrl = define('DATABASE_URL', value.text, { secret: true });
export const openaiKey = define('OPENAI_API_KEY', value.text, { secret: true });
export const openaiUrl = define('OPENAI_BASE_URL', value.httpUrl);
export const lease = define('UNDERSTUDY_LEASE', value.duration, { fallback: '3s' });
export const heartbeat = define('UNDERSTUDY_HEARTBEAT', value.duration, { fallback: '500ms' });
export const patience = define('UNDERSTUDY_PATIENCE', value.duration, { fallback: '5s' });
export const shards = define('UNDERSTUDY_SHARDS', value.wholeNumber(1, 1024), { fallback: '64' });
/** A shard is cut at so many events. */
export const generationEvents = define('UNDERSTUDY_GENERATION_EVENTS', value.wholeNumber(1, 1_000_000), {
  fallback: '2000',
});
export const machinesDir = define('UNDERSTUDY_MACHINES_DIR', value.text, { fallback: 'data/machines' });
/** The scaffold that this replica makes, once for the token. */
export const seed = define('UNDERSTUDY_SEED', value.seedOrder);
/** How often a replica looks whether a shard has grown so much. */
export const generationEvery = define('UNDERSTUDY_GENERATION_EVERY', value.duration, { fallback: '60s' });
/** A prompt's run that is over leaves the documents at the first cut so long after its last event. */
export const archiveAfter = define('UNDERSTUDY_ARCHIVE_AFTER', value.duration, { fallback: '1h' });
/** A backup is made when the newest one is older; 0: never by itself. */
export const backupEvery = define('UNDERSTUDY_BACKUP_EVERY', value.durationOrNever, { fallback: '24h' });
/** So many good backups are kept. */
export const backupKeep = define('UNDERSTUDY_BACKUP_KEEP', value.wholeNumber(1, 10_000), { fallback: '10' });
/** With less free on the disk of the data folder, or fewer files left to make, metrics and health pages call it low. */
export const diskLow = define('UNDERSTUDY_DISK_LOW', value.size, { fallback: '512MB' });
export const diskLowFiles = define('UNDERSTUDY_DISK_LOW_FILES', value.wholeNumber(0, 1_000_000_000), {
  fallback: '1000',
});
/** How often a replica saves its state by itself; 0: at the end only. */
export const autosave = define('UNDERSTUDY_AUTOSAVE', value.durationOrNever, { fallback: '30s' });
/** Whether a run that takes long shows its text so far. */
export const streaming = define('UNDERSTUDY_STREAMING', value.oneOf('on', 'off'), { fallback: 'on' });
/** How often the texts so far are shown, over all answers and replicas. */
export const editsPerSecond = define('UNDERSTUDY_EDITS_PER_SECOND', value.decimalNumber(0.01, 100), {
  fallback: '2',
});
export const prefix = define('UNDERSTUDY_PREFIX', value.text, { fallback: '!' });
export const allowedUsers = define('UNDERSTUDY_ALLOWED_USERS', value.idPatterns('@', '@alice:example.org'));
/** What people hear who may not talk to the bot. */
export const strangers = define('UNDERSTUDY_STRANGERS', value.oneOf('silence', 'notice'), {
  fallback: 'silence',
});
/** Whose invites are taken up. */
export const invites = define('UNDERSTUDY_INVITES', value.oneOf('allowed', 'all', 'none'), {
  fallback: 'allowed',
});
/** What an edit of a prompt leads to that was taken up already. */
export const onEdit = define('UNDERSTUDY_ON_EDIT', value.oneOf('ignore', 'answer-again'), {
  fallback: 'ignore',
});
/** Whether threads talk in their room's context, or each in its own; `!threads` sets a room otherwise. */
export const threads = define('UNDERSTUDY_THREADS', value.oneOf('shared', 'own'), { fallback: 'shared' });
/** Rooms in which every message is for the bot. */
export const alwaysRooms = define('UNDERSTUDY_ALWAYS_ROOMS', value.idPatterns('!', '!abc:example.org'));
/** Keyed stores that survive restarts and reach the other replicas. */
export const persistentState = define(
  'UNDERSTUDY_PERSISTENT_STATE',
  value.listOf('threads', 'sent', 'prompts', 'approvals'),
  { fallback: '' },
);
/** Who may see what is for operators. */
export const admins = define('UNDERSTUDY_ADMINS', value.idPatterns('@', '@alice:example.org'));
export const httpHost = define('UNDERSTUDY_HTTP_HOST', value.text, { fallback: '127.0.0.1' });
export const httpPort = define('UNDERSTUDY_HTTP_PORT', value.port, { fallback: '0' });
export const replicas = define('UNDERSTUDY_REPLICAS', value.wholeNumber(1, 9), { fallback: '2' });
/** A person's account on a homeserver of yours, for the proof of `up` and for `chat`. */
export const personUser = define('UNDERSTUDY_PERSON_USER', value.text);
export const personPassword = define('UNDERSTUDY_PERSON_PASSWORD', value.text, {
  secret: true,
  missing: 'UNDERSTUDY_PERSON_USER is set and needs its password',
});
/** Where `up` installs Synapse. */
export const synapseVenv = define('UNDERSTUDY_SYNAPSE_VENV', value.text);

/** Every setting there is: understudy.yaml is read by all roles, so any of these may stand in it. */
export const everySetting: readonly Setting<unknown>[] = [
  homeserverUrl,
  accessToken,
  user,
  password,
  deviceId,
  clusterId,
  replicaId,
  dataDir,
  relayUrls,
  relayToken,
  relayStorage,
  relayDatabaseUrl,
  storageKey,
  storageKeyPrevious,
  relayHost,
  relayPort,
  relayTokensFile,
  relayOrigins,
  relayTlsCert,
  relayTlsKey,
  relayConnections,
  relayDocumentIdle,
  platformUrl,
  platformToken,
  platformHost,
  platformPort,
  approvalWait,
  agentsFile,
  databaseUrl,
  openaiKey,
  openaiUrl,
  lease,
  heartbeat,
  patience,
  shards,
  generationEvents,
  generationEvery,
  archiveAfter,
  backupEvery,
  backupKeep,
  autosave,
  diskLow,
  diskLowFiles,
  machinesDir,
  seed,
  streaming,
  editsPerSecond,
  prefix,
  allowedUsers,
  strangers,
  invites,
  onEdit,
  threads,
  alwaysRooms,
  persistentState,
  admins,
  httpHost,
  httpPort,
  replicas,
  personUser,
  personPassword,
  synapseVenv,
];

export const yamlKey = (setting: Setting<unknown>): string =>
  setting.name.replace(/^UNDERSTUDY_/, '').toLowerCase();
