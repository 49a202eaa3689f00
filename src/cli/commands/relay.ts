import { clusterCheck } from '../../sync/credentials.js';
import { startRelay, type Relay } from '../../sync/relay.js';
import { Metrics } from '../../telemetry/metrics.js';
import { systemClock } from '../../time/clock.js';
import { relayConfig, type RelayConfig } from '../config/roles.js';
import { listening } from '../explain.js';
import { Lifetime } from '../lifetime.js';
import { openPages, prepare, type Invocation, type Prepared } from '../process.js';
import { RelayFiles } from '../relay-files.js';
import { showRelay } from '../relay-metrics.js';
import { openRelayStorage } from '../relay-storage.js';

/** `understudy relay`: runs until it is asked to end. */
export function run(invocation: Invocation): Promise<number> {
  const prepared = prepare('relay', invocation, relayConfig);
  return new Lifetime(prepared.log).run(() => start(prepared));
}

async function start({ config, log }: Prepared<RelayConfig>): Promise<{ close(): Promise<void> }> {
  const files = new RelayFiles(config, systemClock, log);
  const storage = await openRelayStorage(config, log.child({ part: 'storage' }));
  const metrics = new Metrics({ role: 'relay' });
  let relay: Relay | undefined;
  const checks = [
    {
      name: 'relay',
      kind: 'ready' as const,
      ask: () => (relay ? (relay.draining() ? 'draining' : undefined) : 'starting'),
    },
    { name: 'storage', kind: 'ready' as const, ask: () => storage.trouble() },
  ];
  const pages = await openPages({
    http: config.http,
    role: 'relay',
    checks,
    notes: storage.notes,
    metrics,
    log,
  });
  const close = async (): Promise<void> => {
    files.close();
    await relay?.close();
    await storage.close();
    await pages.close();
  };
  try {
    const { host, port } = config;
    const opened = await listening({ host, port, setting: 'UNDERSTUDY_RELAY_PORT' }, () =>
      startRelay({
        host,
        port,
        tokens: files.tokens,
        origins: config.origins,
        limits: { connections: config.connections, documentIdleMs: config.documentIdleMs },
        ...(files.tls && { tls: files.tls }),
        storage: storage.adapter,
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
