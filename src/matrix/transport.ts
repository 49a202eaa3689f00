import { LogService, MatrixClient, MatrixError, setRequestFn } from 'matrix-bot-sdk';
import type { Clock } from '../time/clock.js';
import { asHomeserverError } from './failure.js';
import { type Call, currentCall, fetchRequest } from './request.js';

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Record<string, unknown>;
  body?: object;
  /** Milliseconds until the whole answer must have been read. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/** One request of the client-server API: rejects with `HomeserverError` only, also when `parse` throws. */
export type Api = <T>(request: ApiRequest, parse: (body: unknown) => T) => Promise<T>;

const ignore = () => undefined;

/** An authorised way to a homeserver through matrix-bot-sdk. An empty token sends none (for login). */
export function openApi(url: string, accessToken: string, clock: Clock): Api {
  setRequestFn(fetchRequest);
  // matrix-bot-sdk writes bodies of failed requests to the console; failures reach our log as HomeserverError.
  LogService.setLogger({ trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore });
  const client = new MatrixClient(url, accessToken);

  return async (request, parse) => {
    const call: Call = { clock, signal: request.signal };
    try {
      return parse(await currentCall.run(call, () => ask(client, request)));
    } catch (error) {
      throw asHomeserverError(error, `${request.method} ${request.path}`, call);
    }
  };
}

async function ask(client: MatrixClient, { method, path, query, body, deadlineMs }: ApiRequest) {
  try {
    const answer: unknown = await client.doRequest(method, path, query, body, deadlineMs);
    return answer;
  } catch (error) {
    // matrix-bot-sdk takes any answer with an `errcode` for a failure; an event may have such a key too.
    if (error instanceof MatrixError && error.statusCode >= 200 && error.statusCode < 300) {
      const answer: unknown = error.body;
      return answer;
    }
    throw error;
  }
}
