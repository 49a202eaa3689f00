import { z } from 'zod';
import * as setting from '../config/settings.js';
import { Refused, call } from '../person/api.js';
import { UserError } from '../user-error.js';
import { answerOf } from './answer.js';
import { clusterRecord } from './cluster-view.js';
import { counted, finding, type Finding } from './finding.js';
import { judgeFinding } from './judge-finding.js';
import type { Patient } from './patient.js';
import { checkRooms } from './rooms.js';
import { clockAndCertificate, unanswered } from './server-findings.js';
import { checkAccount, tokenOf } from './session-look.js';

const versionsBody = z.object({ versions: z.array(z.string()) });

/** Is the homeserver there, whose are the tokens, and are the rooms of the documents the rooms of the account? */
export async function checkHomeserver(patient: Patient): Promise<Finding[]> {
  const { settings, limits, signal, clock } = patient;
  const url = settings.get(setting.homeserverUrl);
  if (url === undefined) return [];
  const answer = await answerOf(new URL('/_matrix/client/versions', url).href, {
    deadlineMs: limits.answerMs,
    signal,
    now: () => clock.now(),
  });
  if ('failure' in answer)
    return [unanswered('homeserver-unreachable', 'homeserver', 'the homeserver', url, answer)];
  const found = [
    ...clockAndCertificate('homeserver-clock', 'homeserver', `the homeserver at ${url}`, answer, patient),
    ...(await judged(patient)),
  ];
  try {
    const { versions } = await call(url, versionsBody, {
      method: 'GET',
      path: '/_matrix/client/versions',
      deadlineMs: limits.answerMs,
      signal,
    });
    const session = await tokenOf(patient, url);
    const account = session && (await checkAccount(patient, url, session));
    const rooms =
      account?.user === undefined || session === undefined
        ? []
        : await checkRooms(patient, url, session.token);
    const who =
      account?.user === undefined ? '' : `; signed in as ${account.user} on ${account.device ?? 'no device'}`;
    return [
      finding('homeserver', `${url} speaks ${versions.at(-1) ?? 'no version'}${who}`),
      ...found,
      ...(session === undefined ? [noSession] : []),
      ...(account?.found ?? []),
      ...rooms,
    ];
  } catch (error) {
    return [...found, refusal(error, url)];
  }
}

const noSession = finding(
  'homeserver-no-session',
  'there is no access token to ask with: a replica that signs in with a password keeps one in matrix.json',
  'start the replica once, or set MATRIX_ACCESS_TOKEN',
);

async function judged(patient: Patient): Promise<Finding[]> {
  const view = await patient.view();
  return view === undefined ? [] : judgeFinding(clusterRecord(view)?.get('judge')?.value);
}

/** What stood in the way of asking. Throws what is none of the homeserver's. */
export function refusal(error: unknown, url: string): Finding {
  if (error instanceof Refused && error.status === 429) {
    const wait =
      error.retryAfterMs === undefined
        ? ''
        : ` for ${counted(Math.ceil(error.retryAfterMs / 1000), 'second')}`;
    return finding(
      'homeserver-limited',
      `the homeserver at ${url} limits this account${wait}`,
      'raise the rate limits of the bot at the homeserver (for Synapse: override_ratelimit)',
    );
  }
  if (error instanceof Refused && error.status >= 500) {
    const seen = `the homeserver at ${url} fails (HTTP ${error.status})`;
    return finding('homeserver-unreachable', seen, 'look at its log');
  }
  if (error instanceof UserError) {
    return finding('homeserver-unreachable', error.message, 'see whether it runs, and look at its log');
  }
  if (error instanceof Refused || error instanceof z.ZodError || error instanceof SyntaxError) {
    const seen = `what answers at ${url} is no Matrix homeserver`;
    return finding(
      'homeserver-not-matrix',
      seen,
      'set MATRIX_HOMESERVER_URL to the address of the homeserver',
    );
  }
  throw error;
}
