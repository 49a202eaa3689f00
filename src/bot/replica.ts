import { join } from 'node:path';
import { ActorError } from '../actors/errors.js';
import type { LoadedMachine } from '../actors/json/machine-file.js';
import { openHomeserver } from '../matrix/client.js';
import { HomeserverError } from '../matrix/homeserver.js';
import type { BackupOptions } from '../node/backup/node-backups.js';
import { backupQuestions } from '../node/backup/questions.js';
import { erasureQuestions } from '../node/erasure/questions.js';
import { nodeFacts } from '../node/metrics/facts.js';
import { showNode } from '../node/metrics/node.js';
import { showStorage } from '../node/metrics/storage.js';
import { migrationQuestions } from '../node/migrations/questions.js';
import { openNode } from '../node/open-node.js';
import type { StateNode } from '../node/state-node.js';
import { httpPlatform } from '../platform/http-client.js';
import { seedLedger, type SeedLedger } from '../seed/ledger.js';
import { seedQuestions } from '../seed/questions.js';
import { openJournal } from '../storage/journal.js';
import { controlPath, startControl } from '../telemetry/control.js';
import type { Keyring } from '../storage/sealed-chunks.js';
import type { Facts } from '../telemetry/health.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Clock } from '../time/clock.js';
import { allowList, roomList } from './allow.js';
import type { StrangersPolicy } from './addressing/strangers.js';
import { ownMachines } from './actors/own.js';
import { Bot } from './bot.js';
import { applyJournal, emptyJournal, forgetPosition, journalEntry, journalSnapshot } from './journal.js';
import type { EditPolicy } from './edits.js';
import type { Threads } from './surface/threads.js';
import type { InvitesPolicy } from './invites.js';
import { openOwnMessageStores, openQuestionStores, type PersistentState } from './persistent-state.js';
import { documentsObstacle } from './documents-obstacle.js';
import { inspectHandlers } from './inspect.js';
import { showBot } from './metrics.js';
import { defaultDevice, openSession, type Credentials } from './session.js';
import { openReplicaState } from './state.js';
import { adminList } from './surface/commands/permission.js';

export type ReplicaConfig = Credentials & {
  homeserverUrl: string;
  deviceId?: string;
  clusterId: string;
  replicaId?: string;
  dataDir: string;
  storageKeys?: Keyring;
  relays: { url: string; token?: string }[];
  platformUrl: string;
  platformToken?: string;
  leaseMs: number;
  heartbeatMs: number;
  patienceMs: number;
  shards: number;
  /** Events in a shard at which it is cut. */
  generationEvents: number;
  generationEveryMs: number;
  backups: BackupOptions;
  /** How often the state is saved by itself; 0: at the end only. */
  autosaveMs: number;
  /** The operator says go: found the cluster without asking a peer (PROTOCOL C5). */
  found: boolean;
  /** The placeholder of a run that takes long shows its text so far. */
  streaming: boolean;
  editsPerSecond: number;
  archiveAfterMs: number;
  prefix: string;
  allowedUsers?: string[];
  strangers: StrangersPolicy;
  invites: InvitesPolicy;
  onEdit: EditPolicy;
  threads: Threads;
  /** Patterns of room ids. */
  alwaysRooms?: string[];
  /** The keyed stores that survive restarts and reach the other replicas. */
  persistentState: readonly PersistentState[];
  admins?: string[];
  /** Beside the bot's own. */
  machines: readonly LoadedMachine[];
};

export interface ReplicaDeps {
  log: Log;
  clock: Clock;
  metrics: Metrics;
  signal: AbortSignal;
  /** What it waits for while it starts, in words. */
  onWaiting?: (what: string) => void;
}

export interface Replica {
  ready(): { ok: boolean; reasons: string[] };
  /** What an operator should know although all is well. */
  notes(): string[];
  /** How storage, backups and relays stand. */
  facts(): Facts;
  /** PROTOCOL O7: hands over, within `ms`. */
  drain(ms: number): Promise<void>;
  close(): Promise<void>;
  describe(): Promise<object>;
  /** Which scaffolds were made, in the whole cluster. */
  readonly seeds: SeedLedger;
}

const VERSION = '0.1.0';
/** A send is given up after this and asked about again, so that none waits for ever (PROTOCOL D10). */
const REQUEST_MS = 15_000;
const POLL_MS = 30_000;
const PLACEHOLDER_MS = 1500;
/** What the relays have is waited for so long; with no relay in reach there is nothing to wait for (DESIGN §5). */
const SYNC_MS = 30_000;
const RELAY_MS = 3_000;

/**
 * One replica of the bot. Start-up order (REQUIREMENTS R1): the Matrix session, then the documents and the journal
 * with the stored position, then the agent registry, then the rooms up to now; only then it takes part.
 * Resolves when it does. Rejects with typed errors of its parts, everything opened closed again.
 */
export async function startReplica(config: ReplicaConfig, deps: ReplicaDeps): Promise<Replica> {
  const opened: { close(): unknown }[] = [];
  try {
    return await open(config, deps, opened);
  } catch (error) {
    for (const part of opened.reverse()) await part.close();
    throw error;
  }
}

async function open(
  config: ReplicaConfig,
  { log, clock, metrics, signal, onWaiting }: ReplicaDeps,
  opened: { close(): unknown }[],
): Promise<Replica> {
  const { homeserverUrl, clusterId, dataDir } = config;
  const deviceId = config.deviceId ?? defaultDevice(clusterId);
  const credentials: Credentials =
    'accessToken' in config
      ? { accessToken: config.accessToken }
      : { user: config.user, password: config.password };
  const session = await openSession({
    homeserverUrl,
    credentials,
    deviceId,
    dataDir,
    deadlineMs: REQUEST_MS,
    clock,
    log,
    signal,
  });
  const node = await openNode({
    ...nodeOptions(config),
    clock,
    log,
    signal,
    onTimed: (step, ms) => metrics.took(step, ms),
    onStorage: (status) => showStorage(metrics, status),
    onStatus: (status) => {
      log.info({ ...status }, 'documents');
      if (status.state === 'waiting-for-peers') onWaiting?.(`documents wait for peers (${status.reason})`);
    },
  });
  opened.push(node);
  registerMachines(node, config.machines);
  const device = await deliveryDevice(node, session);
  if (device !== undefined) log.error({ device: session.deviceId }, device);
  const synced =
    (await node.synced(RELAY_MS, signal)) ||
    (node.channel.connected() && (await node.synced(SYNC_MS, signal)));
  if (!synced) log.warn({ relays: node.relays() }, 'starting without what the relays have');
  const journal = await openJournal({
    file: join(dataDir, 'delivery.journal'),
    entry: journalEntry,
    initial: emptyJournal,
    apply: applyJournal,
    snapshot: journalSnapshot,
    afterDamage: forgetPosition,
    log,
    clock,
  });
  opened.push(journal);
  const saving = await openReplicaState(node, config, { clock, log, metrics });
  opened.push(saving);
  const platform = httpPlatform({
    url: config.platformUrl,
    ...(config.platformToken !== undefined && { token: config.platformToken }),
    log,
    clock,
  });
  const homeserver = openHomeserver({
    url: homeserverUrl,
    accessToken: session.accessToken,
    log,
    clock,
    deadlineMs: REQUEST_MS,
    onDropped: (count) => metrics.happened('event', count > 0 ? 'malformed' : 'ok'),
  });
  const bot = new Bot(
    {
      homeserver,
      channel: node.channel,
      state: node,
      platform,
      journal,
      ownMessages: await openOwnMessageStores(node, config.persistentState),
      questions: await openQuestionStores(node, config.persistentState),
      clock,
      log,
      happened: (event, outcome) => metrics.happened(event, outcome),
      took: (step, ms) => metrics.took(step, ms),
    },
    {
      self: session.userId,
      clusterId,
      version: VERSION,
      leaseMs: config.leaseMs,
      heartbeatMs: config.heartbeatMs,
      patienceMs: config.patienceMs,
      prefix: config.prefix,
      allowed: allowList(config.allowedUsers),
      strangers: config.strangers,
      invites: config.invites,
      onEdit: config.onEdit,
      threads: config.threads,
      alwaysRooms: roomList(config.alwaysRooms),
      isAdmin: adminList(config.admins),
      placeholderAfterMs: PLACEHOLDER_MS,
      streaming: config.streaming,
      editsPerSecond: config.editsPerSecond,
      pollMs: POLL_MS,
      obstacle: () => device ?? documentsObstacle(node),
    },
  );
  opened.push(bot);
  await bot.platform.agents(signal).catch((error: unknown) => {
    log.warn({ error: String(error) }, 'the agent registry is out of reach for now; prompts wait for it');
  });
  await bot.start(signal);
  await saving.load();
  const seeds = seedLedger(node, clock);
  const control = await startControl({
    path: controlPath(dataDir),
    handlers: {
      ...inspectHandlers(node, bot),
      ...seedQuestions(seeds),
      ...backupQuestions(node.backups),
      ...erasureQuestions(node, (error) =>
        log.warn({ err: error }, 'a cut after forgetting failed: tried again'),
      ),
      ...migrationQuestions(node.migrations),
    },
    log,
  });
  opened.push(control);
  showNode(metrics, node);
  showBot(metrics, bot);
  log.info({ replica: node.self.replica, account: session.userId, device: session.deviceId }, 'taking part');
  return {
    ready() {
      const reasons = bot.readiness();
      return { ok: reasons.length === 0, reasons };
    },
    notes() {
      const [backup, migration] = [node.backups.status().fault, node.migrations.status().fault];
      return [
        ...(backup === undefined ? [] : [`the last backup failed: ${backup}`]),
        ...(migration === undefined ? [] : [`the last migration failed: ${migration}`]),
        ...saving.notes(),
      ];
    },
    facts: () => ({ ...nodeFacts(node), state: saving.facts() }),
    drain: (ms) => bot.drain(ms),
    async close() {
      for (const part of opened.reverse()) await part.close();
    },
    describe: async () => Promise.resolve(bot.status()),
    seeds,
  };
}

/** @throws {ActorError} for a machine that takes a name of the bot's own, or that the documents contradict. */
function registerMachines({ actors }: StateNode, machines: readonly LoadedMachine[]): void {
  for (const { id, file, machine, options } of machines) {
    if (ownMachines.has(id))
      throw new ActorError('duplicate-machine', `${file}: machine ${id} is one of the bot's own`);
    actors.register(machine, options);
  }
}

function nodeOptions(config: ReplicaConfig) {
  const {
    clusterId,
    dataDir,
    storageKeys = {},
    replicaId,
    relays,
    shards,
    found,
    backups,
    generationEvents,
    generationEveryMs,
  } = config;
  const generations = { events: generationEvents, everyMs: generationEveryMs };
  const id = replicaId !== undefined && { replicaId };
  return { clusterId, dataDir, storageKeys, relays, shards, found, generations, backups, ...id };
}

/** D6: `whoami` must be the account and the device of the cluster document; what is not recorded yet is recorded. */
async function deliveryDevice(
  node: StateNode,
  { userId, deviceId }: { userId: string; deviceId: string },
): Promise<string | undefined> {
  const known = node.read('cluster', 'cluster');
  if (known?.account !== undefined && known.account !== userId) {
    throw new HomeserverError(
      'refused',
      `this cluster serves ${known.account}, the credentials are of ${userId}`,
      {
        errcode: 'ACCOUNT_MISMATCH',
      },
    );
  }
  if (known?.device_id === undefined) {
    await node.change(
      [{ kind: 'cluster', key: 'cluster', fields: { account: userId, device_id: deviceId } }],
      {
        id: 'genesis',
      },
    );
    return undefined;
  }
  if (known.device_id === deviceId) return undefined;
  return `this replica's token is of device ${deviceId}, the cluster sends through ${known.device_id}: it reads and does not send (set MATRIX_DEVICE_ID)`;
}
