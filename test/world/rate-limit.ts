import { randomUUID } from 'node:crypto';
import { ensureUsers } from '../../src/dev/synapse.js';
import { matrixCall } from './matrix-http.js';
import type { HomeserverAccess } from './person.js';

/** From now on the homeserver takes so many messages of this user; by the admin API of Synapse. */
export async function limitMessages(
  { url, registrationSecret }: HomeserverAccess,
  userId: string,
  limit: { perSecond: number; burst: number },
): Promise<void> {
  const user = { name: `admin-${randomUUID().slice(0, 8)}`, password: randomUUID(), admin: true };
  const [admin] = await ensureUsers(url, registrationSecret, [user]);
  await matrixCall(url, 'POST', `/_synapse/admin/v1/users/${encodeURIComponent(userId)}/override_ratelimit`, {
    token: admin?.access_token,
    body: { messages_per_second: limit.perSecond, burst_count: limit.burst },
  });
}
