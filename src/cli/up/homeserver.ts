import { join } from 'node:path';
import { ensureSynapse, ensureUsers, keptSecrets, startSynapse } from '../../dev/synapse.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import type { SettingsReader } from '../config/reader.js';
import { credentials } from '../config/roles.js';
import * as setting from '../config/settings.js';
import { logIn } from '../person/api.js';
import { checkAccessToken, checkHomeserver } from '../preflight.js';
import { UserError } from '../user-error.js';
import type { Progress } from './progress.js';

/** The homeserver that `up` works with, and the accounts on it. */
export interface Homeserver {
  url: string;
  local: boolean;
  /** The bot's full user id. */
  bot: string;
  /** How the replicas sign in, as settings. */
  botEnv: Record<string, string>;
  /** People who can talk to it from here. */
  people: Record<string, { user: string; password: string }>;
  /** The file with the passwords, for signing in with Element. */
  passwordFile: string | undefined;
  stop(): Promise<void>;
}

const usualPort = 8008;
const names = ['bot', 'alice', 'bob'] as const;

export async function openHomeserver(
  read: SettingsReader,
  context: { dataDir: string; clock: Clock; log: Log; progress: Progress; signal: AbortSignal },
): Promise<Homeserver> {
  const url = read.optional(setting.homeserverUrl);
  return url === undefined ? local(read, context) : given(read, url, context);
}

async function local(
  read: SettingsReader,
  { dataDir, log, progress, signal }: { dataDir: string; log: Log; progress: Progress; signal: AbortSignal },
): Promise<Homeserver> {
  const dev = join(dataDir, 'dev');
  const venvDir = read.optional(setting.synapseVenv) ?? join(dev, 'venv');
  await progress.step(
    'Synapse, a Matrix homeserver',
    (report) => ensureSynapse({ venvDir, report, signal }),
    () => 'installed',
  );
  const synapse = await progress.step(
    'Homeserver',
    (report) => startSynapse({ venvDir, dir: join(dev, 'synapse'), port: usualPort, log, report, signal }),
    ({ url }) => url,
  );
  try {
    const passwordFile = join(dev, 'passwords.json');
    const passwords = await keptSecrets(passwordFile, names);
    await progress.step(
      'Users',
      () =>
        ensureUsers(
          synapse.url,
          synapse.registrationSecret,
          names.map((name) => ({ name, password: passwords[name] })),
        ),
      () => names.join(', '),
    );
    const people = Object.fromEntries(
      (['alice', 'bob'] as const).map((name) => [
        name,
        { user: `@${name}:${synapse.serverName}`, password: passwords[name] },
      ]),
    );
    return {
      url: synapse.url,
      local: true,
      bot: `@bot:${synapse.serverName}`,
      botEnv: { MATRIX_USER: 'bot', MATRIX_PASSWORD: passwords.bot },
      people,
      passwordFile,
      stop: () => synapse.stop(),
    };
  } catch (error) {
    await synapse.stop();
    throw error;
  }
}

async function given(
  read: SettingsReader,
  url: string,
  { clock, log, progress, signal }: { clock: Clock; log: Log; progress: Progress; signal: AbortSignal },
): Promise<Homeserver> {
  const how = credentials(read);
  const bot = await progress.step(
    'Homeserver',
    async () => {
      await checkHomeserver(url, { wasReachable: false, clock, log, signal });
      const user =
        'accessToken' in how
          ? await checkAccessToken(url, how.accessToken)
          : (await logIn(url, how.user, how.password, 'MATRIX_USER and MATRIX_PASSWORD')).user_id;
      if (user === undefined)
        throw new UserError(3, `the homeserver at ${url} does not say whose MATRIX_ACCESS_TOKEN it is`);
      return user;
    },
    (user) => `${url}, as ${user}`,
  );
  const person = read.optional(setting.personUser);
  const password = person === undefined ? '' : read.required(setting.personPassword);
  return {
    url,
    local: false,
    bot,
    botEnv:
      'accessToken' in how
        ? { MATRIX_ACCESS_TOKEN: how.accessToken }
        : { MATRIX_USER: how.user, MATRIX_PASSWORD: how.password },
    people: person === undefined ? {} : { [localpart(person)]: { user: person, password } },
    passwordFile: undefined,
    stop: () => Promise.resolve(),
  };
}

const localpart = (user: string): string => user.replace(/^@/, '').split(':', 1)[0] ?? user;
