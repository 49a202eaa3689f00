import type { Authority } from '../../src/claims/authority.js';
import { PARTS } from '../../src/claims/claim.js';
import { authorityHead, keptPart, readKept, type AuthorityHead } from '../../src/claims/head.js';
import { Authority as RealAuthority, type Kept } from '../../src/claims/authority.js';
import { defaultClaimLimits, type ClaimLimits } from '../../src/claims/limits.js';
import type { Ballot, FencingToken } from '../../src/claims/token.js';
import type { ClaimAnswer, ClaimRequest } from '../../src/claims/wire.js';
import { systemClock, type Clock } from '../../src/time/clock.js';

export const relayName = (number: number): string => `relay-${String(number).padStart(18, '0')}`;

export const ballotOf = (term: number, relay = 1): Ballot => ({ term, relay: relayName(relay) });

export const newHead = (relay = 1): AuthorityHead => ({
  version: 1,
  relay: relayName(relay),
  run: 'run',
  others: [],
  reserved: 0,
  time: 0,
  silentUntil: 0,
});

/** An authority in memory, on a clock that stands still until it is told. */
export function authority(options: { kept?: Kept; relay?: number; limits?: Partial<ClaimLimits> } = {}): {
  authority: Authority;
  pass: (ms: number) => void;
} {
  let now = 0;
  const parts = Array.from({ length: PARTS }, () => undefined);
  const made = new RealAuthority(
    options.kept ?? { head: newHead(options.relay), parts },
    { ...defaultClaimLimits, ...options.limits },
    () => now,
  );
  return {
    authority: made,
    pass: (ms) => {
      now += ms;
    },
  };
}

/** What it would find on its disk if all it changed were written. */
export function keptOf(from: Authority): Kept {
  const head = readKept(authorityHead, from.bytes('head'));
  if (head === undefined) throw new Error('the head cannot be read back');
  const parts = Array.from({ length: PARTS }, (_, part) => readKept(keptPart, from.bytes(part)));
  return { head, parts };
}

type Fields<Op extends ClaimRequest['op']> = Omit<Extract<ClaimRequest, { op: Op }>, 'op'>;

/** For a relay whose disk takes its time: what it waits for it waits ten times as long for, so that it is not given up. */
export const patientClock: Clock = {
  ...systemClock,
  after: (ms, run) => systemClock.after(10 * ms, run),
};

let requests = 0;

export function claiming(key: string, more: Partial<Fields<'claim'>> = {}): ClaimRequest {
  requests += 1;
  return {
    op: 'claim',
    ballot: ballotOf(1),
    namespace: 'steps',
    key,
    worker: '',
    request: `r${requests}`,
    leaseMs: 1_000,
    ...more,
  };
}

export function committing(
  key: string,
  token: FencingToken,
  more: Partial<Fields<'commit'>> = {},
): ClaimRequest {
  return { op: 'commit', ballot: ballotOf(1), namespace: 'steps', key, token, keepMs: 60_000, ...more };
}

export function releasing(key: string, token: FencingToken): ClaimRequest {
  return { op: 'release', ballot: ballotOf(1), namespace: 'steps', key, token };
}

export function renewing(key: string, token: FencingToken, leaseMs = 1_000): ClaimRequest {
  return { op: 'renew', ballot: ballotOf(1), namespace: 'steps', key, token, leaseMs };
}

export function tokenIn(answer: ClaimAnswer): FencingToken {
  if (answer.is !== 'granted') throw new Error(`not granted: ${JSON.stringify(answer)}`);
  return answer.token;
}

/** What was said, in a word. */
export const wordOf = (answer: ClaimAnswer): string => (answer.is === 'refused' ? answer.reason : answer.is);

/** An authority that was named and waited until it answers. */
export function named(options: Parameters<typeof authority>[0] = {}): ReturnType<typeof authority> {
  const made = authority(options);
  const relay = options.relay ?? 1;
  made.authority.answer({ op: 'assume', next: ballotOf(1, relay), silentMs: undefined }, 'a');
  made.pass(defaultClaimLimits.longestLeaseMs);
  return made;
}

/** What makes a relay the authority at once, as from one that held nothing. */
export function takingOver(next: Ballot): ClaimRequest[] {
  const parts = Array.from({ length: PARTS }, (_, part): ClaimRequest => ({
    op: 'take',
    next,
    part,
    claims: [],
  }));
  return [...parts, { op: 'assume', next, silentMs: 0 }];
}
