import type { ClaimStoreOptions } from '../../keyed/claim-options.js';

const HOUR_MS = 60 * 60_000;
/** Clocks of homeserver and authority, each wrong by up to an hour. */
const CLOCKS_APART_MS = 2 * HOUR_MS;

export interface OnceOptions {
  /** Of this handler among those of the bot, the same on every replica: lower-case letters, digits, hyphens; default `message`. */
  name?: string;
  /**
   * With no authority in reach: `wait` until one is (the default), or `go-on`, at the risk that other replicas handle
   * the event too.
   */
  whenUnreachable?: 'wait' | 'go-on';
  /** How long after a replica's death another takes its event up, milliseconds: 1 s to 60 s, default 15 s. */
  lease?: number;
  /** Events older than this are not handled, and younger ones never twice, milliseconds: at most 30 days, default 24 h. */
  remember?: number;
}

export type OnceRules = Required<OnceOptions>;

export const onceRulesOf = (options: OnceOptions): OnceRules => ({
  name: options.name ?? 'message',
  whenUnreachable: options.whenUnreachable ?? 'wait',
  lease: options.lease ?? 15_000,
  remember: Math.min(options.remember ?? 24 * HOUR_MS, 30 * 24 * HOUR_MS),
});

/** The authority remembers for longer than an event is young, so that what it forgot is handled by nobody. */
export const claimsOf = ({ name, whenUnreachable, lease, remember }: OnceRules): ClaimStoreOptions => ({
  namespace: `once-${name}`,
  class: 'claim',
  ttl: lease,
  keep: remember + CLOCKS_APART_MS,
  whenUnreachable: whenUnreachable === 'wait' ? 'wait' : 'proceed',
});
