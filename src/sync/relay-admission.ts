import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Cooldown } from './cooldown.js';
import { readOffer } from './credentials.js';
import { protocol, viewerProtocol } from './frame.js';
import type { RelayCount } from './relay-stats.js';
import type { RelayToken, RelayTokens, TokenRole } from './relay-tokens.js';

type Status = 400 | 401 | 403 | 429 | 503;

export type Admission =
  | { admitted: true; token: RelayToken; role: TokenRole; protocol: string }
  | { admitted: false; status: Status; count: RelayCount; message: string; retryAfterS?: number };

export interface AdmissionRules {
  tokens: RelayTokens;
  origins: readonly string[];
  cooldown: Cooldown;
  /** No place is left for one of this role. */
  isFull(role: TokenRole): boolean;
  now: number;
}

/**
 * Decides on an upgrade request by its headers, before a WebSocket exists. A request with an Origin comes from
 * a browser: any page may open a socket to loopback, so only listed origins are let in.
 */
export function admit(request: IncomingMessage, rules: AdmissionRules): Admission {
  const { authorization, origin } = request.headers;
  const offer = readOffer(authorization, request.headers['sec-websocket-protocol']);
  const token = rules.tokens.identify(offer.token, rules.now);
  if (token === 'unknown') {
    return refuse(401, 'refusedToken', 'The relay token is missing or wrong (UNDERSTUDY_RELAY_TOKEN).');
  }
  if (token === 'expired') {
    return refuse(401, 'refusedExpired', 'The relay token has expired (UNDERSTUDY_RELAY_TOKEN).');
  }
  if (origin !== undefined && !rules.origins.includes(origin)) {
    return refuse(403, 'refusedOrigin', 'This origin may not connect (UNDERSTUDY_RELAY_ORIGINS).');
  }
  if (offer.protocol === undefined) {
    const spoken = `${protocol}, or ${viewerProtocol} to read only`;
    return refuse(400, 'refusedVersion', `This relay speaks ${spoken} (Sec-WebSocket-Protocol).`);
  }
  const role = roleOf(token, offer.protocol);
  if (role === undefined) {
    return refuse(403, 'refusedRole', `A token of the role ${token.role} may not speak ${offer.protocol}.`);
  }
  const coolsMs = role === 'replica' ? 0 : rules.cooldown.leftMs(coolingKey(token, request));
  if (coolsMs > 0) {
    const refusal = refuse(429, 'refusedCooling', 'This viewer tried to write: it may come back later.');
    return { ...refusal, retryAfterS: Math.ceil(coolsMs / 1000) };
  }
  if (rules.isFull(role)) return refuse(503, 'refusedFull', 'The relay takes no more connections.');
  return { admitted: true, token, role, protocol: offer.protocol };
}

/** As what a token may connect; a replica's may also look on. Undefined: not so. */
function roleOf(token: RelayToken, spoken: string): TokenRole | undefined {
  if (spoken === protocol) return token.role === 'replica' ? 'replica' : undefined;
  return token.role === 'admin' ? 'admin' : 'viewer';
}

/** A viewer that tried to write is known again by its token and its address. */
export function coolingKey(token: RelayToken, request: IncomingMessage): string {
  return `${token.sha256} ${request.socket.remoteAddress ?? ''}`;
}

function refuse(status: Status, count: RelayCount, message: string): Extract<Admission, { admitted: false }> {
  return { admitted: false, status, count, message };
}

/** Answers an upgrade request with a plain HTTP response and ends its socket. */
export function answerRefusal(
  socket: Duplex,
  { status, message, retryAfterS }: { status: number; message: string; retryAfterS?: number },
): void {
  const body = `${message}\n`;
  socket.once('finish', () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Connection: close',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
      ...(retryAfterS === undefined ? [] : [`Retry-After: ${retryAfterS}`]),
      '',
      body,
    ].join('\r\n'),
  );
}
