import { resolve } from 'node:path';
import { SettingsReader } from '../config/reader.js';
import * as setting from '../config/settings.js';
import { makeAccounts } from '../prepare/accounts.js';
import { makeSecrets } from '../prepare/secrets.js';
import type { Invocation } from '../process.js';

/** `understudy prepare secrets|accounts`: what docker-compose.yml runs once before the rest. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  what?: string,
): Promise<number> {
  const dir = resolve(typeof options['dir'] === 'string' ? options['dir'] : '.');
  if (what === 'secrets') {
    const made = await makeSecrets(dir);
    say(made.length === 0 ? 'every secret is there already' : `made ${made.join(', ')}`);
  } else {
    const read = new SettingsReader(invocation.env, invocation.flags, invocation.configFile);
    say(`the homeserver has ${(await makeAccounts(read.required(setting.homeserverUrl), dir)).join(', ')}`);
  }
  return 0;
}

const say = (words: string): void => void process.stdout.write(`${words}\n`);
