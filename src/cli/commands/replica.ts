import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ActorError } from '../../actors/errors.js';
import { MachineFileError, describeProblem } from '../../actors/json/errors.js';
import type { LoadedMachine } from '../../actors/json/machine-file.js';
import type { Replica, ReplicaConfig } from '../../bot/replica.js';
import { SeedError } from '../../seed/errors.js';
import { seedGenesis } from '../../seed/seed.js';
import { ensureFolder } from '../../storage/folder.js';
import { loadMachines } from '../../storage/machine-files.js';
import type { Log } from '../../telemetry/log.js';
import { Metrics } from '../../telemetry/metrics.js';
import { systemClock } from '../../time/clock.js';
import { replicaSettings, type ReplicaSettings } from '../config/roles.js';
import { Lifetime } from '../lifetime.js';
import { checkAccessToken, checkHomeserver, checkPlatform, checkRelays } from '../preflight.js';
import { openPages, prepare, type Invocation, type Prepared } from '../process.js';
import { loginRefused, messageOf } from '../explain.js';
import { wrongSetting } from '../user-error.js';

/** O7: a replica that is asked to end finishes or passes on what it has begun within this. */
const drainMs = 9_000;

/** `understudy replica`: runs until it is asked to end. */
export function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const prepared = prepare('replica', invocation, replicaSettings);
  const lifetime = new Lifetime(prepared.log);
  return lifetime.run(() => start(prepared, options['found'] === true, lifetime.signal));
}

async function start(
  { config, log }: Prepared<ReplicaSettings>,
  found: boolean,
  signal: AbortSignal,
): Promise<{ close(): Promise<void> }> {
  const machines = await machinesOf(config);
  await ensureFolder(config.dataDir);
  await preflight({ config, log }, signal);
  const metrics = new Metrics({
    role: 'replica',
    ...(config.replicaId !== undefined && { replica: config.replicaId }),
  });
  let replica: Replica | undefined;
  let starting = 'starting';
  const checks = [
    {
      name: 'replica',
      kind: 'ready' as const,
      ask: () => {
        const state = replica?.ready() ?? { ok: false, reasons: [starting] };
        return state.ok ? undefined : state.reasons.join('; ');
      },
    },
  ];
  const pages = await openPages({
    http: config.http,
    role: 'replica',
    checks,
    // It goes on serving without them, so that no check fails of it.
    notes: () => replica?.notes() ?? [],
    facts: () => replica?.facts() ?? {},
    folder: config,
    metrics,
    log,
  });
  try {
    // Loaded here, so that a wrong setting is told at once and not after all of the bot has been read.
    const { startReplica } = await import('../../bot/replica.js');
    const onWaiting = (what: string): void => void (starting = `starting: ${what}`);
    const deps = { log, clock: systemClock, metrics, signal, onWaiting };
    replica = await startReplica(replicaConfig(config, machines, found), deps);
  } catch (error) {
    await pages.close();
    if (error instanceof ActorError) throw machineRefused(error);
    throw loginRefused(error, config);
  }
  const running = replica;
  await seedOnce(running, config, log);
  return {
    async close() {
      await running.drain(drainMs);
      await running.close();
      await pages.close();
    },
  };
}

/** UNDERSTUDY_SEED: a replica answers prompts with or without its scaffold, so that what is wrong is only said. */
async function seedOnce(
  { seeds }: Replica,
  { seed, agentsFile, machinesDir }: ReplicaSettings,
  log: Log,
): Promise<void> {
  if (seed === undefined) return;
  try {
    const places = { agentsFile, machinesDir: machinesDir.path, env: process.env };
    const outcome = await seedGenesis(seeds, seed, [], places);
    if (outcome.turn === 'done') {
      log.info(
        { replica: outcome.replica },
        'nothing to seed: the token of UNDERSTUDY_SEED is used up; leave the setting out',
      );
    } else log.info({ parts: outcome.parts }, 'seeded; machines are loaded at the next start');
  } catch (error) {
    if (error instanceof SeedError && error.code === 'elsewhere') {
      log.info({ reason: error.message }, 'nothing to seed here: another replica does it');
    } else log.error({ err: error }, 'seeding failed; it is tried again at the next start');
  }
}

async function preflight({ config, log }: Prepared<ReplicaSettings>, signal: AbortSignal): Promise<void> {
  const wasReachable = existsSync(join(config.dataDir, 'replica.json'));
  await checkHomeserver(config.homeserverUrl, { wasReachable, clock: systemClock, log, signal });
  await Promise.all([
    'accessToken' in config.credentials
      ? checkAccessToken(config.homeserverUrl, config.credentials.accessToken)
      : undefined,
    checkRelays(config.relays, log),
    checkPlatform(config.platformUrl, config.platformToken, log),
  ]);
}

async function machinesOf({ machinesDir }: ReplicaSettings): Promise<LoadedMachine[]> {
  const { path, isNamed } = machinesDir;
  if (isNamed && !existsSync(path)) throw wrongSetting(`UNDERSTUDY_MACHINES_DIR: there is no folder ${path}`);
  try {
    return await loadMachines(path);
  } catch (error) {
    const words =
      error instanceof MachineFileError
        ? error.problems.map(describeProblem).join('; ')
        : `${path} cannot be read: ${messageOf(error)}`;
    throw wrongSetting(`UNDERSTUDY_MACHINES_DIR: ${words}`, error);
  }
}

/** What the documents say against a machine, or one machine against another. */
const machineRefused = (error: ActorError): Error =>
  wrongSetting(`a machine cannot be registered (UNDERSTUDY_MACHINES_DIR): ${error.message}`, error);

function replicaConfig(
  config: ReplicaSettings,
  machines: readonly LoadedMachine[],
  found: boolean,
): ReplicaConfig {
  const { homeserverUrl, credentials, deviceId, clusterId, replicaId, dataDir, relays, platformUrl } = config;
  return {
    homeserverUrl,
    ...credentials,
    ...(deviceId !== undefined && { deviceId }),
    clusterId,
    ...(replicaId !== undefined && { replicaId }),
    dataDir,
    storageKeys: config.storageKeys,
    relays,
    platformUrl,
    ...(config.platformToken !== undefined && { platformToken: config.platformToken }),
    leaseMs: config.leaseMs,
    heartbeatMs: config.heartbeatMs,
    patienceMs: config.patienceMs,
    shards: config.shards,
    generationEvents: config.generationEvents,
    generationEveryMs: config.generationEveryMs,
    backups: { everyMs: config.backupEveryMs, keep: config.backupKeep },
    autosaveMs: config.autosaveMs,
    machines,
    found,
    streaming: config.streaming,
    editsPerSecond: config.editsPerSecond,
    archiveAfterMs: config.archiveAfterMs,
    prefix: config.prefix,
    ...(config.allowedUsers !== undefined && { allowedUsers: config.allowedUsers }),
    strangers: config.strangers,
    invites: config.invites,
    onEdit: config.onEdit,
    threads: config.threads,
    ...(config.alwaysRooms !== undefined && { alwaysRooms: config.alwaysRooms }),
    persistentState: config.persistentState,
    ...(config.admins !== undefined && { admins: config.admins }),
  };
}
