import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { readOffer, type TokenRing } from './credentials.js';
import { protocol } from './frame.js';
import type { RelayCount } from './relay-stats.js';

export type Admission =
  | { admitted: true; token: number }
  | { admitted: false; status: 400 | 401 | 403 | 503; count: RelayCount; message: string };

/**
 * Decides on an upgrade request by its headers, before a WebSocket exists. A request with an Origin comes from
 * a browser: any page may open a socket to loopback, so only listed origins are let in.
 */
export function admit(
  request: IncomingMessage,
  rules: { tokens: TokenRing; origins: readonly string[]; full: boolean },
): Admission {
  const { authorization, origin } = request.headers;
  const offer = readOffer(authorization, request.headers['sec-websocket-protocol']);
  const token = rules.tokens.identify(offer.token);
  if (token === undefined) {
    return refuse(401, 'refusedToken', 'The relay token is missing or wrong (UNDERSTUDY_RELAY_TOKEN).');
  }
  if (origin !== undefined && !rules.origins.includes(origin)) {
    return refuse(403, 'refusedOrigin', 'This origin may not connect.');
  }
  if (!offer.version) {
    return refuse(400, 'refusedVersion', `This relay speaks ${protocol} (Sec-WebSocket-Protocol).`);
  }
  if (rules.full) return refuse(503, 'refusedFull', 'The relay takes no more connections.');
  return { admitted: true, token };
}

function refuse(
  status: 400 | 401 | 403 | 503,
  count: RelayCount,
  message: string,
): Extract<Admission, { admitted: false }> {
  return { admitted: false, status, count, message };
}

/** Answers an upgrade request with a plain HTTP response and ends its socket. */
export function answerRefusal(socket: Duplex, status: number, message: string): void {
  const body = `${message}\n`;
  socket.once('finish', () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Connection: close',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
      '',
      body,
    ].join('\r\n'),
  );
}
