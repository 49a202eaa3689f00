import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../time/clock.js';
import type { Counters } from './counters.js';
import { readOffer } from './credentials.js';
import type { RelayConnection } from './relay-connection.js';
import type { RelayCount } from './relay-stats.js';
import type { RelayTokens } from './relay-tokens.js';

const path = '/admin/connections';

/**
 * Answers `GET /admin/connections` to a token of the role `admin`: who is connected, since when, and how much waits
 * for whom. False: the request is another's.
 */
export function answerAdmin(
  request: IncomingMessage,
  response: ServerResponse,
  relay: {
    tokens: RelayTokens;
    connections: Iterable<RelayConnection>;
    clock: Clock;
    counters: Counters<RelayCount>;
  },
): boolean {
  if (request.url?.split('?', 1)[0] !== path) return false;
  const { token: presented } = readOffer(request.headers.authorization, undefined);
  const token = relay.tokens.identify(presented, relay.clock.now());
  const refuse = (status: 401 | 403, count: RelayCount, error: string): void => {
    relay.counters.add(count);
    answer(response, status, { version: 1, error });
  };
  if (token === 'unknown') refuse(401, 'refusedToken', 'the token is missing or wrong');
  else if (token === 'expired') refuse(401, 'refusedExpired', 'the token has expired');
  else if (token.role !== 'admin') refuse(403, 'refusedRole', 'this needs a token of the role admin');
  else {
    const connections = Array.from(relay.connections, (connection) => connection.describe());
    answer(response, 200, { version: 1, connections });
  }
  return true;
}

function answer(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    })
    .end(`${JSON.stringify(body)}\n`);
}
