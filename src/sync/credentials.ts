import { createHash, timingSafeEqual } from 'node:crypto';
import { SyncError } from './errors.js';
import { protocol, viewerProtocol } from './frame.js';

const tokenProtocolPrefix = 'understudy.token.';

/** What a client offers to show that it belongs to the cluster, without giving the cluster id away. */
export function clusterCheck(clusterId: string): string {
  return createHash('sha256').update('understudy-relay\0').update(clusterId).digest('base64url').slice(0, 22);
}

/** Throws `bad-token` unless an HTTP header can carry the token. */
export function assertToken(token: string): void {
  if (/^[!-~]{1,1024}$/.test(token)) return;
  throw new SyncError('bad-token', 'A relay token must be 1–1024 printable ASCII characters without spaces.');
}

/** The subprotocol by which a browser, which cannot set headers, offers its token beside {@link protocol}. */
export function tokenProtocol(token: string): string {
  return tokenProtocolPrefix + Buffer.from(token, 'utf8').toString('base64url');
}

export interface Offer {
  /** What the client speaks; absent when it is none of this relay's protocols. A replica's goes before a viewer's. */
  protocol?: typeof protocol | typeof viewerProtocol;
  /** Absent when the request carries none. */
  token?: string;
}

/** Reads version and token from the headers of an upgrade request; a Bearer header goes before a subprotocol. */
export function readOffer(authorization: string | undefined, protocols: string | undefined): Offer {
  const offered = (protocols ?? '').split(',').map((part) => part.trim());
  const version = ([protocol, viewerProtocol] as const).find((name) => offered.includes(name));
  const bearer = /^Bearer ([!-~]+)$/i.exec(authorization ?? '')?.[1];
  const encoded = offered.find((part) => part.startsWith(tokenProtocolPrefix));
  const token =
    bearer ??
    (encoded && Buffer.from(encoded.slice(tokenProtocolPrefix.length), 'base64url').toString('utf8'));
  return { ...(version !== undefined && { protocol: version }), ...(token !== undefined && { token }) };
}

/** Constant-time comparison of two strings of any length. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
