import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { z } from 'zod';
import { protocol } from '../sync/frame.js';
import type { Log } from '../telemetry/log.js';
import { sleep, type Clock } from '../time/clock.js';
import { Refused, call, reasonOf, v3 } from './person/api.js';
import { wrongSetting, UserError } from './user-error.js';

/**
 * Looks, before anything is started, whether the settings can work at all. Only what a person must mend is an
 * error here; what may pass by itself (a server that is busy or restarting) is left to those who will retry.
 */
const answerMs = 5_000;
/** Beside a homeserver that is starting at the same moment, nobody may listen for a little while. */
const patienceMs = 3_000;

const versions = z.object({ versions: z.array(z.string()) });

/**
 * Is there a Matrix homeserver at `url`? Where nothing answers and `wasReachable` (this data folder has worked
 * before), the homeserver is taken to be down and the replica goes on; else the setting is taken to be wrong.
 */
export async function checkHomeserver(
  url: string,
  options: { wasReachable: boolean; clock: Clock; log: Log; signal?: AbortSignal },
): Promise<void> {
  const until = options.clock.monotonic() + patienceMs;
  for (;;) {
    const failure = await askVersions(url, options.signal);
    if (failure === undefined) return;
    if (options.clock.monotonic() < until) {
      await sleep(options.clock, 250, options.signal);
      continue;
    }
    if (!options.wasReachable) {
      throw wrongSetting(
        `MATRIX_HOMESERVER_URL: nothing answers at ${url} (${failure}); is the address right?`,
      );
    }
    options.log.warn({ reason: failure }, 'The homeserver does not answer; going on, and trying again');
    return;
  }
}

/** Undefined when a homeserver answers, or a proxy before one; else why nothing does. */
async function askVersions(url: string, signal?: AbortSignal): Promise<string | undefined> {
  let response: Response;
  const limit = AbortSignal.timeout(answerMs);
  try {
    response = await fetch(new URL('/_matrix/client/versions', url), {
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
  } catch (error) {
    signal?.throwIfAborted();
    return reasonOf(error);
  }
  if (response.status === 429 || response.status >= 500) return undefined;
  const answer = versions.safeParse(await response.json().catch(() => undefined));
  if (response.ok && answer.success) return undefined;
  throw wrongSetting(
    `MATRIX_HOMESERVER_URL: what answers at ${url} is no Matrix homeserver (HTTP ${response.status} to /_matrix/client/versions)`,
  );
}

/** The account of an access token; undefined where the homeserver does not answer just now. */
export async function checkAccessToken(url: string, token: string): Promise<string | undefined> {
  try {
    const answer = z.object({ user_id: z.string() });
    return (
      await call(url, answer, { method: 'GET', path: v3('account', 'whoami'), token, deadlineMs: answerMs })
    ).user_id;
  } catch (error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
      throw wrongSetting(
        `MATRIX_ACCESS_TOKEN is refused by ${url} (${error.errcode}): sign the bot in again and set the new token`,
        error,
      );
    }
    if (error instanceof Refused || error instanceof UserError) return undefined;
    throw error;
  }
}

/** Does each relay that answers accept the token? One that does not answer is left to the reconnecting. */
export async function checkRelays(
  relays: readonly { url: string; token?: string }[],
  log: Log,
): Promise<void> {
  await Promise.all(
    relays.map(async ({ url, token }) => {
      const answer = await upgradeStatus(url, token);
      if (answer === 401 || answer === 403) {
        throw wrongSetting(
          token === undefined
            ? `UNDERSTUDY_RELAY_TOKEN is missing: the relay at ${url} asks for a token`
            : `UNDERSTUDY_RELAY_TOKEN is refused by the relay at ${url}: it must be the relay's own`,
        );
      }
      if (answer !== 101)
        log.warn({ relay: url, answer }, 'A relay does not answer; going on, and trying again');
    }),
  );
}

/** The status that an upgrade request to a relay gets, or the code of the error when it gets none. */
export function upgradeStatus(
  url: string,
  token: string | undefined,
  deadlineMs = answerMs,
): Promise<number | string> {
  const target = new URL(url.replace(/^ws/, 'http'));
  const open = target.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const request = open(target, {
      timeout: deadlineMs,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
        'sec-websocket-protocol': protocol,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    });
    const answered = (status: number): void => {
      resolve(status);
      request.destroy();
    };
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      answered(response.statusCode ?? 0);
    });
    request.on('response', (response) => answered(response.statusCode ?? 0));
    request.on('timeout', () =>
      request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
    );
    request.on('error', (error) => resolve(reasonOf(error)));
    request.end();
  });
}

/** Does the platform accept the token? One that does not answer is left to the retries of every call. */
export async function checkPlatform(url: string, token: string | undefined, log: Log): Promise<void> {
  let status: number;
  try {
    const response = await fetch(`${url}/v1/agents`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(answerMs),
    });
    status = response.status;
    await response.body?.cancel();
  } catch (error) {
    log.warn({ reason: reasonOf(error) }, 'The platform does not answer; going on, and trying again');
    return;
  }
  if (status === 401 || status === 403) {
    throw wrongSetting(
      `UNDERSTUDY_PLATFORM_TOKEN is ${token === undefined ? 'missing: the platform at' : 'refused by the platform at'} ${url} (HTTP ${status})`,
    );
  }
  if (status === 404)
    throw wrongSetting(`UNDERSTUDY_PLATFORM_URL: what answers at ${url} is no agent platform (HTTP 404)`);
}
