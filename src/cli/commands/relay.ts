import { ensureFolder } from '../../storage/folder.js';
import { lockFolder } from '../../storage/lock.js';
import { DurableStorage } from '../../storage/durable.js';
import { clusterCheck } from '../../sync/credentials.js';
import { startRelay, type Relay } from '../../sync/relay.js';
import { Metrics } from '../../telemetry/metrics.js';
import { systemClock } from '../../time/clock.js';
import { relayConfig, type RelayConfig } from '../config/roles.js';
import { listening } from '../explain.js';
import { Lifetime } from '../lifetime.js';
import { MemoryStorage } from '../memory-storage.js';
import { openPages, prepare, type Invocation, type Prepared } from '../process.js';

/** `understudy relay`: runs until it is asked to end. */
export function run(invocation: Invocation): Promise<number> {
  const prepared = prepare('relay', invocation, relayConfig);
  return new Lifetime(prepared.log).run(() => start(prepared));
}

async function start({ config, log }: Prepared<RelayConfig>): Promise<{ close(): Promise<void> }> {
  const storage = await openStorage(config, log);
  const metrics = new Metrics({ role: 'relay' });
  let relay: Relay | undefined;
  const checks = [
    { name: 'relay', kind: 'ready' as const, ask: () => (relay ? undefined : 'starting') },
    { name: 'storage', kind: 'ready' as const, ask: () => storage.trouble() },
  ];
  const pages = await openPages({ http: config.http, role: 'relay', checks, metrics, log });
  const close = async (): Promise<void> => {
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
        tokens: config.token === undefined ? undefined : [config.token],
        storage: storage.adapter,
        clusterCheck: clusterCheck(config.clusterId),
        log: log.child({ part: 'sync' }),
        clock: systemClock,
      }),
    );
    relay = opened;
    metrics.gauge('relay', 'What the relay counts, by name.', () => ({ ...opened.stats() }), 'count');
    log.info({ url: opened.url, storage: config.storage }, 'The relay is ready');
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface OpenStorage {
  adapter: DurableStorage | MemoryStorage;
  trouble(): string | undefined;
  close(): Promise<void>;
}

async function openStorage(config: RelayConfig, log: Prepared<RelayConfig>['log']): Promise<OpenStorage> {
  if (config.storage === 'memory') {
    log.warn(
      { setting: 'UNDERSTUDY_RELAY_STORAGE' },
      'THIS RELAY KEEPS EVERYTHING IN MEMORY AND FORGETS IT WHEN IT ENDS: for development only',
    );
    return { adapter: new MemoryStorage(), trouble: () => undefined, close: () => Promise.resolve() };
  }
  await ensureFolder(config.dataDir);
  const lock = await lockFolder(config.dataDir);
  const adapter = new DurableStorage({
    dir: `${config.dataDir}/documents`,
    log: log.child({ part: 'storage' }),
  });
  return {
    adapter,
    trouble: () => (adapter.status().state === 'failing' ? 'the disk refuses writes' : undefined),
    async close() {
      // O7's 10 s are the whole of what an end may take; what is not written by then is logged.
      await adapter.close(AbortSignal.timeout(5_000));
      await lock.release();
    },
  };
}
