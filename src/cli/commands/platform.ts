import { join } from 'node:path';
import { startPlatform, type Platform } from '../../platform/service/start.js';
import { ensureFolder } from '../../storage/folder.js';
import { Metrics } from '../../telemetry/metrics.js';
import { systemClock } from '../../time/clock.js';
import { platformConfig, type PlatformConfig } from '../config/roles.js';
import { codeOf, listening } from '../explain.js';
import { Lifetime } from '../lifetime.js';
import { showPlatform } from '../platform-metrics.js';
import { openPages, prepare, type Invocation, type Prepared } from '../process.js';

/** `understudy platform`: runs until it is asked to end. */
export function run(invocation: Invocation): Promise<number> {
  const prepared = prepare('platform', invocation, platformConfig);
  return new Lifetime(prepared.log).run(() => start(prepared));
}

async function start({ config, log }: Prepared<PlatformConfig>): Promise<{ close(): Promise<void> }> {
  if (config.databaseUrl === undefined) await ensureFolder(config.dataDir);
  const metrics = new Metrics({ role: 'platform' });
  let platform: Platform | undefined;
  const counts = showPlatform(metrics, () => platform);
  const checks = [
    {
      name: 'platform',
      kind: 'ready' as const,
      ask: () => (platform ? databaseTrouble(platform) : 'starting'),
    },
  ];
  const pages = await openPages({
    http: config.http,
    role: 'platform',
    checks,
    folder: config.databaseUrl === undefined ? config : undefined,
    metrics,
    log,
  });
  try {
    const { host, port } = config;
    platform = await listening({ host, port, setting: 'UNDERSTUDY_PLATFORM_PORT' }, () =>
      startPlatform({
        host,
        port,
        agentsFile: config.agentsFile,
        database:
          config.databaseUrl === undefined
            ? { sqlite: join(config.dataDir, 'platform.sqlite') }
            : { url: config.databaseUrl },
        approvalMs: config.approvalMs,
        ...(config.token !== undefined && { token: config.token }),
        // The keys may have come from files or understudy.yaml, which the backends do not read.
        env: {
          ...(config.openai.apiKey !== undefined && { OPENAI_API_KEY: config.openai.apiKey }),
          ...(config.openai.baseUrl !== undefined && { OPENAI_BASE_URL: config.openai.baseUrl }),
        },
        log,
        clock: systemClock,
        ...counts,
      }),
    );
  } catch (error) {
    await pages.close();
    throw error;
  }
  const running = platform;
  log.info({ url: running.url }, 'The platform is ready');
  return {
    async close() {
      await running.close();
      await pages.close();
    },
  };
}

/** Why the platform's database does not answer, or undefined. */
async function databaseTrouble(platform: Platform): Promise<string | undefined> {
  try {
    await platform.check();
    return undefined;
  } catch (error) {
    return `the database does not answer (${codeOf(error) ?? 'unknown'})`;
  }
}
