import { createHash, timingSafeEqual } from 'node:crypto';
import { SyncError } from './errors.js';
import { protocol } from './frame.js';

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
  /** The client speaks this wire version. */
  version: boolean;
  /** Absent when the request carries none. */
  token?: string;
}

/** Reads version and token from the headers of an upgrade request; a Bearer header goes before a subprotocol. */
export function readOffer(authorization: string | undefined, protocols: string | undefined): Offer {
  const offered = (protocols ?? '').split(',').map((part) => part.trim());
  const version = offered.includes(protocol);
  const bearer = /^Bearer ([!-~]+)$/i.exec(authorization ?? '')?.[1];
  const encoded = offered.find((part) => part.startsWith(tokenProtocolPrefix));
  const token =
    bearer ??
    (encoded && Buffer.from(encoded.slice(tokenProtocolPrefix.length), 'base64url').toString('utf8'));
  return token === undefined ? { version } : { version, token };
}

/** The tokens a relay accepts, as hashes; without any, everyone is let in under one identity. */
export class TokenRing {
  readonly #hashes: Buffer[] | undefined;

  constructor(tokens: readonly string[] | undefined) {
    tokens?.forEach(assertToken);
    this.#hashes = tokens?.map(sha256);
  }

  /**
   * Which token was presented, as a number to compare connections by, or undefined when it is none of ours.
   * Every token is compared, each in constant time, so that timing says neither which nor how near.
   */
  identify(token: string | undefined): number | undefined {
    if (!this.#hashes) return 0;
    if (token === undefined) return undefined;
    const presented = sha256(token);
    let found: number | undefined;
    this.#hashes.forEach((hash, index) => {
      if (timingSafeEqual(hash, presented)) found = index;
    });
    return found;
  }
}

/** Constant-time comparison of two strings of any length. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
