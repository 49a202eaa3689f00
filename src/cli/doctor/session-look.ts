import { join } from 'node:path';
import { z } from 'zod';
import { defaultDevice } from '../../bot/session.js';
import { JsonFileError, readJson } from '../../storage/json-file.js';
import * as setting from '../config/settings.js';
import { Refused, call, v3 } from '../person/api.js';
import { clusterRecord } from './cluster-view.js';
import { finding, type Finding } from './finding.js';
import { textIn, type Patient } from './patient.js';

/** A token to ask with, and where it came from. */
export interface Session {
  token: string;
  from: string;
}

const keptSession = z.object({ homeserver: z.string(), accessToken: z.string() });
const whoamiBody = z.object({ user_id: z.string(), device_id: z.string().optional() });

/**
 * The token that is set, or the one that the replica keeps. None is made: where a homeserver takes the older token of
 * a device back at a login, that would cut the replicas off.
 */
export async function tokenOf({ settings, dir, files }: Patient, url: string): Promise<Session | undefined> {
  const given = settings.get(setting.accessToken);
  if (given !== undefined) return { token: given, from: 'MATRIX_ACCESS_TOKEN' };
  try {
    const kept = await readJson(join(dir, 'matrix.json'), keptSession, files);
    return kept?.homeserver === url ? { token: kept.accessToken, from: 'matrix.json' } : undefined;
  } catch (error) {
    if (!(error instanceof JsonFileError)) throw error;
    return undefined;
  }
}

/** Is it the account, and the device, that the cluster sends as? Rejects with what `refusal` words. */
export async function checkAccount(
  patient: Patient,
  url: string,
  { token, from }: Session,
): Promise<{ user?: string; device?: string | undefined; found: Finding[] }> {
  const { limits, signal, clusterId, settings } = patient;
  let who: z.output<typeof whoamiBody>;
  try {
    who = await call(url, whoamiBody, {
      method: 'GET',
      path: v3('account', 'whoami'),
      token,
      deadlineMs: limits.answerMs,
      signal,
    });
  } catch (error) {
    if (!(error instanceof Refused) || (error.status !== 401 && error.status !== 403)) throw error;
    const todo =
      from === 'matrix.json'
        ? 'nothing while the password is right: the replica signs in again at its next start; if this comes back, something signs the bot out'
        : 'sign the bot in again, and set the new token for all replicas';
    return {
      found: [finding('homeserver-token', `${url} refuses the token of ${from} (${error.errcode})`, todo)],
    };
  }
  const view = await patient.view();
  const record = view && clusterRecord(view);
  const user = textIn(record, 'account');
  const device =
    textIn(record, 'device_id') ??
    settings.get(setting.deviceId) ??
    (clusterId === undefined || from !== 'matrix.json' ? undefined : defaultDevice(clusterId));
  const found: Finding[] = [];
  if (user !== undefined && user !== who.user_id) {
    const seen = `the cluster serves ${user}, and the token of ${from} is of ${who.user_id}`;
    found.push(finding('homeserver-account', seen, `sign in as ${user}: one cluster serves one account`));
  }
  if (device !== undefined && device !== who.device_id) {
    const seen = `the cluster sends through the device ${device}, and the token of ${from} is of ${who.device_id ?? 'none'}: this replica reads and does not send`;
    found.push(
      finding(
        'homeserver-device',
        seen,
        `use a token of ${device} (MATRIX_DEVICE_ID, or the shared MATRIX_ACCESS_TOKEN)`,
      ),
    );
  }
  return { user: who.user_id, device: who.device_id, found };
}
