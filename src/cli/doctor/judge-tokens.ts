import { z } from 'zod';
import { logIn } from '../../matrix/login.js';
import * as setting from '../config/settings.js';
import { Refused, call, v3 } from '../person/api.js';
import { finding, type Finding } from './finding.js';
import type { Patient } from './patient.js';
import { tokenOf } from './session-look.js';

/** Of the probe alone: where a homeserver takes a device's older token back, no replica may lose its own. */
const DEVICE = 'UNDERSTUDY_PROBE';

const nothing = z.unknown();

interface ProbeTokens {
  tokens: string[];
  /** What they are, in a sentence. */
  words: string;
  found: Finding[];
  /** Ends the device that was made for the probe. */
  end: () => Promise<void>;
}

/**
 * Two tokens of one device, as replicas with a password have them; or the one token that they all share. A homeserver
 * that takes the first back at the second login cannot serve replicas that sign in.
 */
export async function probeTokens(
  patient: Patient,
  url: string,
): Promise<ProbeTokens | { finding: Finding }> {
  const { settings, limits, signal } = patient;
  const [user, password] = [settings.get(setting.user), settings.get(setting.password)];
  const shared = await tokenOf(patient, url);
  if (settings.isGiven(setting.accessToken) || user === undefined || password === undefined) {
    if (shared === undefined) {
      const todo = 'set MATRIX_ACCESS_TOKEN, or MATRIX_USER and MATRIX_PASSWORD';
      return {
        finding: finding('judge-unfinished', 'there is no account to probe the homeserver with', todo),
      };
    }
    const words = `over the one token of ${shared.from}`;
    return { tokens: [shared.token], words, found: [], end: () => Promise.resolve() };
  }
  const deadlineMs = 3 * limits.answerMs;
  const login = { url, user, password, deviceId: DEVICE, clock: patient.clock, deadlineMs, signal };
  const first = (await logIn(login)).accessToken;
  const second = (await logIn(login)).accessToken;
  const isKept = await isValid(patient, url, first);
  const end = async (): Promise<void> => {
    await call(url, nothing, { method: 'POST', path: v3('logout'), body: {}, token: second, deadlineMs });
  };
  if (isKept) return { tokens: [first, second], words: 'over two tokens of one device', found: [], end };
  const revoked = finding(
    'tokens-revoked',
    `${url} takes the older token of a device back at the next login: replicas that sign in cut each other off`,
    'give all replicas one MATRIX_ACCESS_TOKEN instead of MATRIX_USER and MATRIX_PASSWORD',
  );
  return { tokens: [second], words: 'over one token', found: [revoked], end };
}

async function isValid({ limits, signal }: Patient, url: string, token: string): Promise<boolean> {
  try {
    const path = v3('account', 'whoami');
    await call(url, nothing, { method: 'GET', path, token, deadlineMs: 3 * limits.answerMs, signal });
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return false;
    throw error;
  }
}
