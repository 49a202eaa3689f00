import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureUsers } from '../../dev/users.js';
import { codeOf } from '../explain.js';
import { logIn } from '../person/api.js';
import { writeRecord, type UpRecord } from '../up/record.js';
import { wrongSetting } from '../user-error.js';

const people = ['alice', 'bob'] as const;

/**
 * Makes the users bot, alice and bob on a homeserver whose registration secret `dir` holds, where they are missing, and
 * leaves a record there for `understudy chat`. Resolves to their ids, the bot's first.
 * Rejects with a `UserError` where a secret is missing, a password is refused or nobody answers, and with `DevError`
 * `refused`.
 */
export async function makeAccounts(url: string, dir: string): Promise<string[]> {
  const users = await Promise.all(
    ['bot', ...people].map(async (name) => ({ name, password: await readSecret(dir, `${name}-password`) })),
  );
  await ensureUsers(url, await readSecret(dir, 'synapse-registration'), users);
  const known: UpRecord['people'] = {};
  let server = '';
  for (const { name, password } of users.filter((user) => user.name !== 'bot')) {
    // A user of that name with another password is none of ours: better found out here than at the first chat.
    const { user_id: user } = await logIn(url, name, password, `${dir}/${name}-password`);
    known[name] = { user, password };
    server = user.slice(user.indexOf(':'));
  }
  const bot = `@bot${server}`;
  await writeRecord(dir, {
    version: 1,
    pid: process.pid,
    homeserver: { url, local: true },
    bot,
    people: known,
    relay: { url: 'ws://relay:3030' },
    platform: { url: 'http://platform:3040' },
    processes: [],
  });
  return [bot, ...Object.values(known).map(({ user }) => user)];
}

async function readSecret(dir: string, name: string): Promise<string> {
  try {
    return (await readFile(join(dir, name), 'utf8')).trim();
  } catch (error) {
    throw wrongSetting(`--dir: ${join(dir, name)} cannot be read (${codeOf(error)})`, error);
  }
}
