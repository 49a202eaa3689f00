import { createHash, timingSafeEqual } from 'node:crypto';
import { assertToken } from './credentials.js';

/**
 * What a token is good for:
 * - `replica`: reads and writes documents, and speaks to the other replicas.
 * - `viewer`: reads documents and who is connected, and changes nothing.
 * - `admin`: as a viewer, and asks the relay about its connections.
 */
export const tokenRoles = ['replica', 'viewer', 'admin'] as const;
export type TokenRole = (typeof tokenRoles)[number];

/** A token as a relay keeps it: who reads this list cannot connect with it. */
export interface RelayToken {
  /** Of the token's characters, hex. */
  sha256: string;
  role: TokenRole;
  /** Milliseconds since the epoch. */
  expires?: number;
  /** For the log. */
  name?: string;
}

export type Identified = RelayToken | 'unknown' | 'expired';

/** Everyone on this machine, where a relay has no tokens: it may do all that a token could give it. */
const everyone: RelayToken = { sha256: '', role: 'replica' };

/** The tokens that a relay accepts now; `undefined`: everyone is let in under one identity. */
export class RelayTokens {
  #list: readonly (RelayToken & { hash: Buffer })[] | undefined;

  constructor(tokens: readonly (string | RelayToken)[] | undefined) {
    this.replace(tokens);
  }

  replace(tokens: readonly (string | RelayToken)[] | undefined): void {
    this.#list = tokens?.map((token) => {
      if (typeof token !== 'string') return { ...token, hash: Buffer.from(token.sha256, 'hex') };
      assertToken(token);
      const hash = sha256(token);
      return { sha256: hash.toString('hex'), role: 'replica', hash };
    });
  }

  /**
   * Which token was presented. Every one is compared, each in constant time and expired ones too, so that timing
   * says neither which nor how near.
   */
  identify(token: string | undefined, now: number): Identified {
    if (!this.#list) return everyone;
    const presented = sha256(token ?? '');
    let found: RelayToken | undefined;
    for (const each of this.#list) if (timingSafeEqual(each.hash, presented)) found = each;
    if (found === undefined || token === undefined) return 'unknown';
    return isOver(found, now) ? 'expired' : found;
  }

  /** Why a connection that came with this token may not go on, or undefined. */
  revoked(token: RelayToken, now: number): 'removed' | 'expired' | undefined {
    if (!this.#list) return undefined;
    const still = this.#list.find(({ sha256: hash }) => hash === token.sha256);
    if (still?.role !== token.role) return 'removed';
    return isOver(still, now) ? 'expired' : undefined;
  }

  /** Milliseconds until the next token expires. */
  nextExpiry(now: number): number | undefined {
    const times = (this.#list ?? []).flatMap(({ expires }) =>
      expires !== undefined && expires > now ? [expires - now] : [],
    );
    return times.length > 0 ? Math.min(...times) : undefined;
  }
}

function isOver({ expires }: RelayToken, now: number): boolean {
  return expires !== undefined && expires <= now;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
