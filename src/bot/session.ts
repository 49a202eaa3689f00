import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { openHomeserver } from '../matrix/client.js';
import { HomeserverError } from '../matrix/homeserver.js';
import { logIn, type Session } from '../matrix/login.js';
import { throughOutages } from '../matrix/outages.js';
import { readJsonOrAside, writeJson } from '../storage/json-file.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';

const sessionFile = z.object({
  homeserver: z.string(),
  user: z.string(),
  accessToken: z.string(),
  userId: z.string(),
  deviceId: z.string(),
});

export type Credentials = { accessToken: string } | { user: string; password: string };

/** The device all replicas send through, unless it is set (PROTOCOL D6). */
export function defaultDevice(clusterId: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify(['delivery-device', clusterId]))
    .digest('hex');
  return `US${hash.slice(0, 10).toUpperCase()}`;
}

/**
 * The account's session: the given token, or the one kept in the data folder from an earlier login with the same
 * user and device, or a fresh login. Replicas never log out, because that would end the device for all of them.
 * Waits through outages of the homeserver.
 */
export async function openSession(options: {
  homeserverUrl: string;
  credentials: Credentials;
  deviceId: string;
  dataDir: string;
  deadlineMs: number;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}): Promise<Session> {
  const { homeserverUrl: url, credentials, deviceId, clock, log, deadlineMs } = options;
  if ('accessToken' in credentials) return whoIs(url, credentials.accessToken, options);
  const file = join(options.dataDir, 'matrix.json');
  const lost = 'the access token of an earlier login: logging in again';
  const kept = await readJsonOrAside(file, sessionFile, { lost, log, clock });
  if (kept?.homeserver === url && kept.user === credentials.user && kept.deviceId === deviceId) {
    try {
      return await whoIs(url, kept.accessToken, options);
    } catch (error) {
      if (!(error instanceof HomeserverError) || error.detail.status !== 401) throw error;
      log.warn({ device: deviceId }, 'the kept access token is no longer valid: logging in again');
    }
  }
  const session = await throughOutages(
    () => logIn({ url, ...credentials, deviceId, clock, deadlineMs }),
    options,
  );
  await writeJson(file, { homeserver: url, user: credentials.user, ...session });
  return session;
}

async function whoIs(
  url: string,
  accessToken: string,
  options: { log: Log; clock: Clock; deadlineMs: number; signal: AbortSignal },
): Promise<Session> {
  const homeserver = openHomeserver({ url, accessToken, ...options });
  const { user_id, device_id } = await throughOutages(() => homeserver.whoami(), options);
  return { accessToken, userId: user_id, deviceId: device_id };
}
