import { z } from 'zod';
import { UserError, wrongSetting } from '../user-error.js';

const refusal = z.object({ errcode: z.string(), error: z.string().default('') });

/** The homeserver answered with an error. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly errcode: string,
    message: string,
    readonly retryAfterMs: number | undefined,
  ) {
    super(message);
    this.name = 'Refused';
  }
}

export interface Call {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  query?: Record<string, string>;
  body?: object;
  token?: string;
  deadlineMs?: number;
  signal?: AbortSignal | undefined;
}

/** The path under the client-server API, its parts encoded. */
export const v3 = (...parts: string[]): string =>
  `/_matrix/client/v3/${parts.map(encodeURIComponent).join('/')}`;

/**
 * One request to a homeserver as a person's client makes it. Rejects with {@link Refused} where the homeserver
 * answered, with a `UserError` (exit code 3) where it did not, and with the signal's reason.
 */
export async function call<T>(homeserver: string, schema: z.ZodType<T>, request: Call): Promise<T> {
  const url = new URL(request.path, homeserver);
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
  const limit = AbortSignal.timeout(request.deadlineMs ?? 20_000);
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url, {
      method: request.method,
      headers: {
        ...(request.token !== undefined && { authorization: `Bearer ${request.token}` }),
        ...(request.body && { 'content-type': 'application/json' }),
      },
      ...(request.body && { body: JSON.stringify(request.body) }),
      signal: request.signal ? AbortSignal.any([limit, request.signal]) : limit,
    });
    body = await response.json();
  } catch (error) {
    request.signal?.throwIfAborted();
    throw new UserError(3, `the homeserver at ${homeserver} does not answer (${reasonOf(error)})`, {
      cause: error,
    });
  }
  if (!response.ok) {
    const { errcode, error } = refusal.catch({ errcode: 'M_UNKNOWN', error: '' }).parse(body);
    const { retry_after_ms: retry } = z
      .object({ retry_after_ms: z.number().optional() })
      .catch({})
      .parse(body);
    throw new Refused(response.status, errcode, `${errcode}${error && `: ${error}`}`, retry);
  }
  return schema.parse(body);
}

/** The cause that fetch hides in `cause`, in a word or two. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : typeof message === 'string' ? message : String(cause);
}

const login = z.object({ user_id: z.string(), access_token: z.string(), device_id: z.string() });

/** A login on a device of this command's own. `settings` names what is wrong when it is refused. */
export async function logIn(
  homeserver: string,
  user: string,
  password: string,
  settings?: string,
): Promise<z.infer<typeof login>> {
  try {
    return await call(homeserver, login, {
      method: 'POST',
      path: v3('login'),
      body: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user },
        password,
        device_id: 'UNDERSTUDY_TERMINAL',
        initial_device_display_name: 'understudy chat',
      },
    });
  } catch (error) {
    if (error instanceof Refused)
      throw wrongSetting(
        `${settings === undefined ? 'the login' : `${settings}: the login`} of ${user} is refused by ${homeserver} (${error.message})`,
        error,
      );
    throw error;
  }
}
