import { join } from 'node:path';
import { freePort } from '../../dev/port.js';
import { keptSecrets } from '../../dev/synapse.js';
import type { Clock } from '../../time/clock.js';
import type { Environment, SettingsReader } from '../config/reader.js';
import * as setting from '../config/settings.js';
import { Child } from './child.js';
import type { Homeserver } from './homeserver.js';

export interface Processes {
  platform: Child;
  platformUrl: string;
  relay: Child;
  relayUrl: string;
  replicas: Child[];
}

/** The platform, the relay and the replicas of `up`, with ports and secrets chosen, not started yet. */
export async function planProcesses(
  read: SettingsReader,
  context: {
    dataDir: string;
    env: Environment;
    homeserver: Homeserver;
    clock: Clock;
    say: (line: string) => void;
    restarted: () => void;
    configFile: string | undefined;
  },
): Promise<Processes> {
  const { dataDir, env, homeserver, clock, say, restarted, configFile } = context;
  const kept = await keptSecrets(join(dataDir, 'secrets.json'), ['cluster', 'relay', 'platform']);
  const relayPort = await portFor(read.required(setting.relayPort), 'relay', say);
  const platformPort = await portFor(read.required(setting.platformPort), 'platform', say);
  const relayUrl = `ws://127.0.0.1:${relayPort}`;
  const platformUrl = `http://127.0.0.1:${platformPort}`;
  const shared: Environment = {
    ...env,
    UNDERSTUDY_CLUSTER_ID: read.optional(setting.clusterId) ?? kept.cluster,
    UNDERSTUDY_RELAY_TOKEN: read.optional(setting.relayToken) ?? kept.relay,
    UNDERSTUDY_PLATFORM_TOKEN: read.optional(setting.platformToken) ?? kept.platform,
    UNDERSTUDY_HTTP_HOST: '127.0.0.1',
  };
  // What stands in the variable would clash with the same secret given as a file.
  for (const name of Object.keys(shared)) {
    const isTwin = name.endsWith('_FILE') && shared[name.slice(0, -'_FILE'.length)] !== undefined;
    if (isTwin) shared[name] = undefined;
  }
  const child = async (name: string, role: string, settings: Environment): Promise<Child> => {
    const port = await freePort();
    const folder = join(dataDir, name);
    return new Child({
      name,
      args: [...(configFile === undefined ? [] : ['--config', configFile]), role],
      env: { ...shared, ...settings, UNDERSTUDY_DATA_DIR: folder, UNDERSTUDY_HTTP_PORT: String(port) },
      dataDir: folder,
      health: `http://127.0.0.1:${port}`,
      log: join(dataDir, 'logs', `${name}.log`),
      clock,
      say,
      restarted,
    });
  };
  const matrix: Environment = {
    MATRIX_ACCESS_TOKEN: '',
    MATRIX_USER: '',
    MATRIX_PASSWORD: '',
    ...homeserver.botEnv,
    MATRIX_ACCESS_TOKEN_FILE: undefined,
    MATRIX_PASSWORD_FILE: undefined,
    MATRIX_HOMESERVER_URL: homeserver.url,
  };
  const count = read.required(setting.replicas);
  return {
    relayUrl,
    platformUrl,
    platform: await child('platform', 'platform', {
      UNDERSTUDY_PLATFORM_HOST: '127.0.0.1',
      UNDERSTUDY_PLATFORM_PORT: String(platformPort),
    }),
    relay: await child('relay', 'relay', {
      UNDERSTUDY_RELAY_HOST: '127.0.0.1',
      UNDERSTUDY_RELAY_PORT: String(relayPort),
    }),
    replicas: await Promise.all(
      Array.from({ length: count }, (_, i) =>
        child(`replica-${i + 1}`, 'replica', {
          ...matrix,
          UNDERSTUDY_REPLICA_ID: `replica-${i + 1}`,
          UNDERSTUDY_RELAY_URLS: relayUrl,
          UNDERSTUDY_PLATFORM_URL: platformUrl,
        }),
      ),
    ),
  };
}

async function portFor(wanted: number, name: string, say: (line: string) => void): Promise<number> {
  const port = await freePort(wanted);
  if (wanted !== 0 && port !== wanted)
    say(`    port ${wanted} is taken: the ${name} listens on ${port} instead`);
  return port;
}
