import { clusterCheck } from '../../sync/credentials.js';
import { storageFacts } from '../../node/metrics/storage.js';
import { startRelay, type Relay } from '../../sync/relay.js';
import type { Health } from '../../telemetry/health.js';
import { Metrics } from '../../telemetry/metrics.js';
import { systemClock } from '../../time/clock.js';
import { relayConfig, type RelayConfig } from '../config/roles.js';
import { listening } from '../explain.js';
import { HangUp } from '../hang-up.js';
import { Lifetime } from '../lifetime.js';
import { openPages, prepare, type Invocation, type Prepared } from '../process.js';
import { RelayFiles } from '../relay-files.js';
import { showRelay } from '../relay-metrics.js';
import { openRelayStorage, type RelayStorage } from '../relay-storage.js';

/** `understudy relay`: runs until it is asked to end. */
export function run(invocation: Invocation): Promise<number> {
  const hangUps = new HangUp();
  const prepared = prepare('relay', invocation, relayConfig);
  const lifetime = new Lifetime(prepared.log);
  return lifetime.run(() => start(prepared, hangUps, lifetime.signal));
}

async function start(
  { config, log }: Prepared<RelayConfig>,
  hangUps: HangUp,
  signal: AbortSignal,
): Promise<{ close(): Promise<void> }> {
  const files = new RelayFiles(config, systemClock, log, hangUps);
  const metrics = new Metrics({ role: 'relay' });
  let storage: RelayStorage | undefined;
  let relay: Relay | undefined;
  let waitsFor: string | undefined;
  const checks = [
    {
      name: 'relay',
      kind: 'ready' as const,
      ask: () => (relay ? (relay.draining() ? 'draining' : undefined) : 'starting'),
    },
    {
      name: 'storage',
      kind: 'ready' as const,
      ask: () => (storage ? storage.trouble() : (waitsFor ?? 'starting')),
    },
  ];
  let pages: Health | undefined;
  // While the storage is waited for already: who asks is told so.
  const showPages = async (): Promise<void> => {
    pages ??= await openPages({
      http: config.http,
      role: 'relay',
      checks,
      notes: () => storage?.notes ?? [],
      facts: () =>
        storage ? { storage: { kind: config.storage, ...storageFacts(storage.adapter.status()) } } : {},
      folder: ['fs', 'pglite'].includes(config.storage) ? config : undefined,
      metrics,
      log,
    });
  };
  const close = async (): Promise<void> => {
    files.close();
    await relay?.close();
    await storage?.close();
    await pages?.close();
  };
  try {
    const waits = async (reason: string): Promise<void> => {
      waitsFor = reason;
      await showPages();
    };
    const waiting = { signal, waits, clock: systemClock };
    storage = await openRelayStorage(config, log.child({ part: 'storage' }), metrics, waiting);
    const { adapter, identity } = storage;
    await showPages();
    const { host, port } = config;
    const opened = await listening({ host, port, setting: 'UNDERSTUDY_RELAY_PORT' }, () =>
      startRelay({
        host,
        port,
        tokens: files.tokens,
        origins: config.origins,
        limits: { connections: config.connections, documentIdleMs: config.documentIdleMs },
        ...(files.tls && { tls: files.tls }),
        storage: adapter,
        ...(identity && { identity }),
        clusterCheck: clusterCheck(config.clusterId),
        log: log.child({ part: 'sync' }),
        clock: systemClock,
      }),
    );
    relay = opened;
    files.follow(opened);
    showRelay(metrics, opened);
    log.info({ url: opened.url, storage: config.storage }, 'The relay is ready');
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}
