import { describe, expect, it } from 'vitest';
import { PARTS } from '../../src/claims/claim.js';
import { handOver as changeOver } from '../../src/claims/hand-over.js';
import { LONGEST_LEASE_MS, TOKEN_BLOCK } from '../../src/claims/limits.js';
import { compareTokens, tokenText } from '../../src/claims/token.js';
import type { Authority } from '../../src/claims/authority.js';
import type { ClaimRequest } from '../../src/claims/wire.js';
import {
  authority,
  ballotOf,
  claiming,
  committing,
  keptOf,
  named,
  relayName,
  releasing,
  renewing,
  tokenIn,
  wordOf,
} from './world.js';

const says = (one: Authority, request: ClaimRequest, replica = 'a'): string =>
  wordOf(one.answer(request, replica).answer);
const grants = (one: Authority, request: ClaimRequest, replica = 'a') =>
  tokenIn(one.answer(request, replica).answer);

describe('one key', () => {
  it('K1-one: is given to one replica, until its lease is over', () => {
    const { authority: one, pass } = named();
    const first = grants(one, claiming('k'), 'a');
    for (const other of ['a', 'b', 'c']) expect(says(one, claiming('k'), other)).toBe('held');
    pass(1_000);
    const second = grants(one, claiming('k'), 'b');
    expect(compareTokens(second, first)).toBeGreaterThan(0);
    expect(tokenText(second) > tokenText(first)).toBe(true);
  });

  it('K1-repeat: the same request again is given the same token, and nothing once that lease is over', () => {
    const { authority: one, pass } = named();
    const request = claiming('k');
    const token = grants(one, request);
    expect(grants(one, request)).toEqual(token);
    expect(says(one, request, 'b')).toBe('held');
    pass(1_000);
    expect(says(one, request)).toBe('expired');
  });

  it('K1-consumed: is given to nobody once it was committed, also after a restart', () => {
    const { authority: one, pass } = named();
    const token = grants(one, claiming('k'));
    expect(says(one, committing('k', token))).toBe('committed');
    expect(says(one, committing('k', token))).toBe('committed');
    expect(says(one, releasing('k', token))).toBe('stale');
    pass(2_000);
    expect(says(one, claiming('k'), 'b')).toBe('consumed');
    const { authority: again, pass: later } = authority({ kept: keptOf(one) });
    expect(says(again, claiming('k'), 'b')).toBe('consumed');
    later(60_000);
    expect(says(again, claiming('k'), 'b')).toBe('granted');
  });

  it('K1-stale: a token that is not the one that stands ends nothing', () => {
    const { authority: one, pass } = named();
    const old = grants(one, claiming('k'), 'a');
    pass(1_000);
    const token = grants(one, claiming('k'), 'b');
    expect(says(one, committing('k', old), 'a')).toBe('stale');
    expect(says(one, releasing('k', old), 'a')).toBe('stale');
    expect(says(one, renewing('k', old), 'a')).toBe('stale');
    expect(says(one, committing('k', token), 'b')).toBe('committed');
  });

  it('K1-owner: only the replica that holds it may end it, also in a later run', () => {
    const { authority: one } = named();
    const token = grants(one, claiming('k'), 'a');
    for (const end of [committing('k', token), releasing('k', token), renewing('k', token)]) {
      expect(says(one, end, 'b')).toBe('not-owner');
    }
    expect(says(one, releasing('k', token), 'a')).toBe('released');
    expect(says(one, releasing('k', token), 'a')).toBe('released');
    expect(says(one, claiming('k'), 'b')).toBe('granted');
  });

  it('goes on while it is renewed, and is committed after its lease if nobody was given it', () => {
    const { authority: one, pass } = named();
    const token = grants(one, claiming('k'));
    for (let round = 0; round < 5; round += 1) {
      pass(900);
      expect(says(one, renewing('k', token))).toBe('renewed');
      expect(says(one, claiming('k'), 'b')).toBe('held');
    }
    pass(5_000);
    expect(says(one, renewing('k', token))).toBe('expired');
    expect(says(one, committing('k', token))).toBe('committed');
  });

  it('is another in another namespace', () => {
    const { authority: one } = named();
    grants(one, claiming('k'));
    expect(says(one, claiming('k', { namespace: 'others' }), 'b')).toBe('granted');
  });
});

describe('bounds', () => {
  it('K1-longest: gives no lease that is longer than its silence', () => {
    const { authority: one } = named({ limits: { longestLeaseMs: 1_000 } });
    expect(says(one, claiming('k', { leaseMs: 1_001 }))).toBe('lease-too-long');
    const token = grants(one, claiming('k', { leaseMs: 1_000 }));
    expect(says(one, renewing('k', token, 1_001))).toBe('lease-too-long');
  });

  it('refuses more than it keeps, in a namespace and in all, until some are over', () => {
    const { authority: one, pass } = named({ limits: { claims: 4, perNamespace: 3, longestLeaseMs: 1_000 } });
    for (const key of ['1', '2', '3']) grants(one, claiming(key));
    expect(says(one, claiming('4'))).toBe('full');
    grants(one, claiming('1', { namespace: 'others' }));
    expect(says(one, claiming('2', { namespace: 'others' }))).toBe('full');
    expect(says(one, claiming('1'))).toBe('held');
    pass(2_000);
    expect(says(one, claiming('4'))).toBe('granted');
    expect(one.counts()).toEqual({ held: 1, consumed: 0 });
  });
});

describe('tokens', () => {
  it('K1-block: of an earlier run are never handed out again, whatever of it came to the disk', () => {
    const { authority: one } = named();
    const kept = keptOf(one);
    const first = grants(one, claiming('1'));
    // Only the head that set the block aside was written, as it is before a token leaves.
    const head = keptOf(one).head;
    expect(head.reserved).toBe(TOKEN_BLOCK);
    for (let key = 2; key <= 50; key += 1) grants(one, claiming(String(key)));
    const last = grants(one, claiming('51'));
    const { authority: again } = authority({ kept: { head, parts: kept.parts } });
    const next = grants(again, claiming('1'), 'b');
    expect(compareTokens(next, last)).toBeGreaterThan(0);
    expect(compareTokens(last, first)).toBeGreaterThan(0);
  });
});

describe('which relay decides', () => {
  it('K1-elsewhere: one that is not named refuses, and says who is', () => {
    const { authority: one } = authority({ relay: 2 });
    expect(one.answer(claiming('k', { ballot: ballotOf(3, 1) }), 'a').answer).toEqual({
      is: 'refused',
      reason: 'not-authority',
      authority: ballotOf(3, 1),
    });
    expect(says(one, claiming('k', { ballot: ballotOf(2, 2) }))).toBe('not-authority');
  });

  it('K1-superseded: one that hears of a later term refuses from then on, also after a restart', () => {
    const { authority: one } = named();
    const token = grants(one, claiming('k'));
    expect(says(one, claiming('x', { ballot: ballotOf(2, 2) }), 'b')).toBe('not-authority');
    expect(says(one, committing('k', token))).toBe('not-authority');
    const { authority: again } = authority({ kept: keptOf(one) });
    expect(says(again, claiming('y'))).toBe('not-authority');
  });

  it('K1-named: one that hears that it is named is silent for the longest lease', () => {
    const { authority: one, pass } = authority();
    expect(says(one, claiming('k'))).toBe('silent');
    pass(LONGEST_LEASE_MS - 1);
    expect(says(one, claiming('k'))).toBe('silent');
    pass(1);
    expect(says(one, claiming('k'))).toBe('granted');
  });

  it('K1-ballot: of two changes made apart the same relay wins everywhere, and no token comes twice', () => {
    const [small, great] = [named({ relay: 1 }), named({ relay: 2 })];
    for (const { authority: one } of [small, great]) {
      one.answer({ op: 'assume', next: ballotOf(5, one === small.authority ? 1 : 2) }, 'a');
    }
    for (const { pass } of [small, great]) pass(LONGEST_LEASE_MS);
    const one = grants(small.authority, claiming('k', { ballot: ballotOf(5, 1) }));
    const other = grants(great.authority, claiming('k', { ballot: ballotOf(5, 2) }));
    expect(compareTokens(one, other)).toBeLessThan(0);
    expect(says(small.authority, claiming('l', { ballot: ballotOf(5, 2) }))).toBe('not-authority');
    expect(says(great.authority, claiming('l', { ballot: ballotOf(5, 1) }))).toBe('granted');
  });
});

describe('lost and older disks', () => {
  it('K1-lost: one that misses a part of its claims is silent, and says so', () => {
    const { authority: one } = named();
    grants(one, claiming('k'));
    const kept = keptOf(one);
    const { authority: again, pass } = authority({
      kept: { ...kept, parts: kept.parts.map((part, at) => (at === 0 ? undefined : part)) },
    });
    expect(again.lost).toBe(1);
    expect(says(again, claiming('x'))).toBe('silent');
    pass(LONGEST_LEASE_MS);
    expect(says(again, claiming('x'))).toBe('granted');
  });

  it('K1-older: one that is told of a token that it never set aside skips it, and is silent', () => {
    const { authority: one } = named();
    const old = keptOf(one);
    let last = grants(one, claiming('0'));
    for (let key = 1; key < 10; key += 1) last = grants(one, claiming(String(key)));
    const { authority: again, pass } = authority({ kept: old });
    expect(says(again, claiming('x', { seen: last }))).toBe('silent');
    expect(again.rolledBack).toBe(1);
    pass(LONGEST_LEASE_MS);
    expect(compareTokens(grants(again, claiming('x')), last)).toBeGreaterThan(0);
  });

  it('K1-forgot: one that is told of a term of its own that it does not know is silent', () => {
    const { authority: one } = named();
    const seen = { ...ballotOf(4), counter: 9_000 };
    expect(says(one, claiming('x', { seen }))).toBe('silent');
  });
});

describe('a change of the authority', () => {
  /** Everything that a command does between two relays. */
  const handOver = (from: Authority, to: Authority, next = ballotOf(2, 2)): void => {
    const sealed = from.answer({ op: 'seal', from: ballotOf(1), next }, 'a').answer;
    if (sealed.is !== 'sealed') throw new Error(wordOf(sealed));
    for (let part = 0; part < PARTS; part += 1) {
      const given = from.answer({ op: 'give', next, part }, 'a').answer;
      if (given.is !== 'given') throw new Error(wordOf(given));
      expect(says(to, { op: 'take', next, part, claims: given.claims })).toBe('taken');
    }
    expect(says(to, { op: 'assume', next, silentMs: sealed.silentMs })).toBe('assumed');
  };

  it('K1-handover: what was held and consumed stays so at the new one, without a wait', () => {
    const { authority: old, pass } = named();
    const { authority: next } = authority({ relay: 2 });
    const [kept, done] = [grants(old, claiming('kept')), grants(old, claiming('done'))];
    old.answer(committing('done', done), 'a');
    pass(400);
    handOver(old, next);
    const to = { ballot: ballotOf(2, 2) };
    expect(says(old, claiming('x'))).toBe('not-authority');
    expect(says(next, claiming('done', to), 'b')).toBe('consumed');
    expect(says(next, claiming('kept', to), 'b')).toBe('held');
    expect(says(next, { ...committing('kept', kept), ...to })).toBe('committed');
    const token = grants(next, claiming('x', to));
    expect(compareTokens(token, kept)).toBeGreaterThan(0);
    expect(token.relay).toBe(relayName(2));
  });

  it('K1-silence: a new one is silent for as long as the old one still would have been', () => {
    const { authority: old } = authority();
    const { authority: next, pass } = authority({ relay: 2 });
    expect(says(old, claiming('k'))).toBe('silent');
    handOver(old, next);
    const to = { ballot: ballotOf(2, 2) };
    expect(says(next, claiming('k', to))).toBe('silent');
    pass(LONGEST_LEASE_MS);
    expect(says(next, claiming('k', to))).toBe('granted');
  });

  it('K1-incomplete: nobody takes over before all parts have come, and a part of another key is refused', () => {
    const { authority: one } = authority({ relay: 2 });
    const next = ballotOf(2, 2);
    for (let part = 1; part < PARTS; part += 1) one.answer({ op: 'take', next, part, claims: [] }, 'a');
    expect(says(one, { op: 'assume', next, silentMs: 0 })).toBe('incomplete');
    const { authority: old } = named();
    grants(old, claiming('k'));
    const claims = Array.from({ length: PARTS }, (_, part) => {
      const given = old.answer({ op: 'give', next, part }, 'a').answer;
      return given.is === 'given' ? given.claims : [];
    });
    expect(claims.flat()).toEqual([]);
    expect(says(old, { op: 'seal', from: ballotOf(1), next })).toBe('sealed');
    const moved = Array.from({ length: PARTS }, (_, part) => {
      const given = old.answer({ op: 'give', next, part }, 'a').answer;
      return given.is === 'given' ? given.claims : [];
    });
    const at = moved.findIndex((list) => list.length > 0);
    const wrong = (at + 1) % PARTS;
    expect(says(one, { op: 'take', next, part: wrong, claims: moved[at] ?? [] })).toBe('incomplete');
  });

  it('K1-chain: a change that was broken off may have got further than to seal the old one: the next asks there too', async () => {
    const [old, next, third] = [1, 2, 3].map((relay) =>
      relay === 1 ? named().authority : authority({ relay }).authority,
    ) as [Authority, Authority, Authority];
    handOver(old, next);
    // Its document was never written, and a later change to the third seals the old one and breaks off.
    const to = { ballot: ballotOf(2, 2) };
    const token = grants(next, claiming('k', to));
    next.answer(committing('k', token, to), 'a');
    old.answer({ op: 'seal', from: ballotOf(1), next: ballotOf(3, 3) }, 'a');
    const relays = new Map([old, next, third].map((one) => [one.relay, one]));
    const done = await changeOver(
      (relay, request) => Promise.resolve(relays.get(relay)?.answer(request, 'a').answer),
      ballotOf(1),
      ballotOf(4, 3),
    );
    expect(done.is).toBe('done');
    expect(says(next, claiming('l', to))).toBe('not-authority');
    expect(third.counts().consumed).toBe(1);
  });

  it('K1-again: broken off anywhere, it is done by doing it again, and a slower one of a lower term is refused', () => {
    const { authority: old } = named();
    const { authority: next } = authority({ relay: 2 });
    old.answer({ op: 'seal', from: ballotOf(1), next: ballotOf(2, 2) }, 'a');
    old.answer({ op: 'give', next: ballotOf(2, 2), part: 0 }, 'a');
    expect(says(old, claiming('k'))).toBe('not-authority');
    handOver(old, next, ballotOf(3, 2));
    expect(says(next, { op: 'assume', next: ballotOf(2, 2), silentMs: 0 })).toBe('not-authority');
    expect(says(old, { op: 'seal', from: ballotOf(1), next: ballotOf(2, 1) })).toBe('not-authority');
    expect(says(next, claiming('k', { ballot: ballotOf(3, 2) }))).toBe('granted');
  });
});
