import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Replica, ReplicaConfig } from '../../bot/replica.js';
import { ensureFolder } from '../../storage/folder.js';
import { Metrics } from '../../telemetry/metrics.js';
import { systemClock } from '../../time/clock.js';
import { replicaSettings, type ReplicaSettings } from '../config/roles.js';
import { Lifetime } from '../lifetime.js';
import { checkAccessToken, checkHomeserver, checkPlatform, checkRelays } from '../preflight.js';
import { openPages, prepare, type Invocation, type Prepared } from '../process.js';
import { loginRefused } from '../explain.js';

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
  await ensureFolder(config.dataDir);
  await preflight({ config, log }, signal);
  const metrics = new Metrics({
    role: 'replica',
    ...(config.replicaId !== undefined && { replica: config.replicaId }),
  });
  let replica: Replica | undefined;
  const checks = [
    {
      name: 'replica',
      kind: 'ready' as const,
      ask: () => {
        const state = replica?.ready() ?? { ok: false, reasons: ['starting'] };
        return state.ok ? undefined : state.reasons.join('; ');
      },
    },
  ];
  const pages = await openPages({ http: config.http, role: 'replica', checks, metrics, log });
  try {
    // Loaded here, so that a wrong setting is told at once and not after all of the bot has been read.
    const { startReplica } = await import('../../bot/replica.js');
    replica = await startReplica(replicaConfig(config, found), { log, clock: systemClock, metrics, signal });
  } catch (error) {
    await pages.close();
    throw loginRefused(error, config);
  }
  const running = replica;
  return {
    async close() {
      await running.drain(drainMs);
      await running.close();
      await pages.close();
    },
  };
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

function replicaConfig(config: ReplicaSettings, found: boolean): ReplicaConfig {
  const { homeserverUrl, credentials, deviceId, clusterId, replicaId, dataDir, relays, platformUrl } = config;
  return {
    homeserverUrl,
    ...credentials,
    ...(deviceId !== undefined && { deviceId }),
    clusterId,
    ...(replicaId !== undefined && { replicaId }),
    dataDir,
    relays,
    platformUrl,
    ...(config.platformToken !== undefined && { platformToken: config.platformToken }),
    leaseMs: config.leaseMs,
    heartbeatMs: config.heartbeatMs,
    patienceMs: config.patienceMs,
    shards: config.shards,
    found,
    prefix: config.prefix,
    ...(config.allowedUsers !== undefined && { allowedUsers: config.allowedUsers }),
  };
}
