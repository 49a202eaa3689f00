import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { DevError } from './errors.js';

export interface DevUser {
  /** Localpart. */
  name: string;
  password: string;
  admin?: boolean;
}

const nonceAnswer = z.object({ nonce: z.string() });
const registered = z.object({ user_id: z.string(), access_token: z.string(), device_id: z.string() });
const refusal = z.object({ errcode: z.string(), error: z.string().optional() });
const DEADLINE_MS = 30_000;

/** A user made just now, signed in once; undefined for one that was there before. */
export type Registered = z.infer<typeof registered> | undefined;

/**
 * Makes the users that do not exist yet, through Synapse's shared-secret registration; the secret itself is never
 * sent. A user that exists keeps its password. The result is in the order of `users`.
 * Errors: {@link DevError} `refused`.
 */
export async function ensureUsers(
  url: string,
  secret: string,
  users: readonly DevUser[],
): Promise<Registered[]> {
  const made: Registered[] = [];
  for (const user of users) made.push(await ensureUser(url, secret, user));
  return made;
}

async function ensureUser(url: string, secret: string, user: DevUser): Promise<Registered> {
  const endpoint = new URL('/_synapse/admin/v1/register', url);
  const { nonce } = nonceAnswer.parse(
    await (await fetch(endpoint, { signal: AbortSignal.timeout(DEADLINE_MS) })).json(),
  );
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(DEADLINE_MS),
    body: JSON.stringify({
      nonce,
      username: user.name,
      password: user.password,
      admin: user.admin ?? false,
      mac: registrationMac(secret, nonce, user),
    }),
  });
  const body: unknown = await answer.json();
  if (answer.ok) return registered.parse(body);
  const { errcode, error } = refusal.parse(body);
  if (errcode === 'M_USER_IN_USE') return undefined;
  throw new DevError(
    'refused',
    `The homeserver at ${url} refused to make the user ${user.name}: ${errcode} ${error ?? ''}`,
  );
}

/** The proof that Synapse's registration API asks for: an HMAC over the fields, separated by zero bytes. */
function registrationMac(secret: string, nonce: string, user: DevUser): string {
  const fields = [nonce, user.name, user.password, user.admin ? 'admin' : 'notadmin'];
  return createHmac('sha1', secret).update(fields.join('\0')).digest('hex');
}
