import type { Log } from '../telemetry/log.js';
import { createLog } from '../telemetry/logger.js';
import { startHealth, type Check, type Facts, type Health } from '../telemetry/health.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Redactor } from '../telemetry/redact.js';
import { systemClock } from '../time/clock.js';
import { SettingsReader, type Environment } from './config/reader.js';
import { DataFolder, type LowDisk } from './data-folder.js';
import { listening } from './explain.js';

/** What every command is given: where it runs, and the flags that the person typed. */
export interface Invocation {
  env: Environment;
  /** Settings given as flags, by the name of the setting. */
  flags: Map<string, { flag: string; text: string }>;
  configFile?: string;
}

export interface Prepared<T> {
  config: T;
  log: Log;
}

/** Reads a role's settings and opens its log, in that order: the log must know which texts are secret. */
export function prepare<T>(
  role: string,
  invocation: Invocation,
  read: (reader: SettingsReader) => T,
): Prepared<T> {
  const reader = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
  const config = read(reader);
  const log = createLog({ role, debug: invocation.env['DEBUG'], redactor: new Redactor(reader.secrets) });
  return { config, log };
}

/** The health pages of a process; the log says where they are. */
export async function openPages(options: {
  http: { host: string; port: number };
  role: string;
  checks: Check[];
  notes?: () => string[];
  facts?: () => Facts;
  /** Watched, where the process keeps data in a folder. */
  folder?: { dataDir: string; lowDisk: LowDisk } | undefined;
  metrics: Metrics;
  log: Log;
}): Promise<Health> {
  const { http, folder: kept, metrics, log } = options;
  const { checks, notes = () => [], facts = () => ({}), ...rest } = options;
  const folder =
    kept && (await DataFolder.watch(kept.dataDir, kept.lowDisk, { metrics, clock: systemClock, log }));
  try {
    const health = await listening({ ...http, setting: 'UNDERSTUDY_HTTP_PORT' }, () =>
      startHealth({
        ...http,
        ...rest,
        checks: folder ? [...checks, folder.check] : checks,
        notes: () => [...notes(), ...(folder?.notes() ?? [])],
        facts: () => ({ ...facts(), ...folder?.facts() }),
      }),
    );
    log.info({ url: health.url }, 'health and metrics');
    return {
      ...health,
      async close() {
        folder?.close();
        await health.close();
      },
    };
  } catch (error) {
    folder?.close();
    throw error;
  }
}
