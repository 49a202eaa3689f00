import { partOf, PARTS, type ClaimOwner } from './claim.js';
import { Claims, type Verdict } from './claims.js';
import { bytesOf, MOST_OTHERS, type AuthorityHead, type KeptPart } from './head.js';
import { TOKEN_BLOCK, type ClaimLimits } from './limits.js';
import { compareBallots, type Ballot, type FencingToken } from './token.js';
import { refused, type ClaimAnswer, type ClaimRequest } from './wire.js';

/** What was found on disk. */
export interface Kept {
  head: AuthorityHead;
  /** Undefined: this part is not there, or cannot be read. */
  parts: readonly (KeptPart | undefined)[];
}

/** An answer, and what must be on disk before it may leave. */
export interface Decision {
  answer: ClaimAnswer;
  part?: number;
}

/** Of `holders`: more would not fit one frame. */
const MOST_SHOWN = 500;

type OfClaim = Extract<ClaimRequest, { namespace: string }>;
type OfChange = Extract<ClaimRequest, { next: Ballot }>;

/**
 * One relay as the authority on claims (PROTOCOL K1; docs/decisions/0016): it answers while it is the one that the
 * highest ballot it has heard of names, and refuses otherwise. Pure: it changes what it holds in memory at once and
 * counts up a version of each part it changed; whoever runs it writes that to disk before an answer leaves.
 */
export class Authority {
  readonly #claims: Claims;
  readonly #head: AuthorityHead;
  readonly #startedAt: number;
  #counter: number;
  /** Parts taken over so far, for the change that is under way. */
  #taking: { next: Ballot; parts: Set<number> } | undefined;
  /** Of each part, and last of the head: how often it was changed. */
  readonly #versions: number[] = Array.from({ length: PARTS + 1 }, () => 0);
  /** What was on disk and could not be read, when it began. */
  readonly lost: number;

  constructor(
    kept: Kept,
    private readonly limits: ClaimLimits,
    /** Monotonic milliseconds. */
    private readonly monotonic: () => number,
  ) {
    this.#startedAt = monotonic();
    this.#claims = new Claims(limits);
    const times = [kept.head.time, ...kept.parts.map((part) => part?.time ?? 0)];
    this.#head = { ...kept.head, time: Math.max(...times) };
    for (const part of kept.parts) for (const claim of part?.claims ?? []) this.#claims.put(claim);
    // Some of a block may have been handed out and forgotten: none of it is handed out again.
    this.#counter = Math.max(kept.head.reserved, ...this.#claims.all().map(({ token }) => token.counter));
    this.#head.reserved = this.#counter;
    this.lost = kept.head.taken === undefined ? 0 : kept.parts.filter((part) => part === undefined).length;
    if (this.lost > 0) this.#beSilent();
    this.#changed('head');
    for (const [part, found] of kept.parts.entries()) {
      // Else every later start would find it missing again.
      if (this.lost > 0 && found === undefined) this.#changed(part);
    }
  }

  get relay(): string {
    return this.#head.relay;
  }

  /** The authority as this relay has heard of it. */
  get heard(): Ballot | undefined {
    return this.#head.heard;
  }

  /** It is the one that answers. */
  get isAuthority(): boolean {
    const { heard, taken } = this.#head;
    return heard !== undefined && taken !== undefined && compareBallots(heard, taken) === 0;
  }

  /** Milliseconds until it answers; 0 when it does. */
  get silentMs(): number {
    return Math.max(0, this.#head.silentUntil - this.#now());
  }

  counts(): { held: number; consumed: number } {
    const now = this.#now();
    let [held, consumed] = [0, 0];
    for (const { state, until } of this.#claims.all()) {
      if (until <= now) continue;
      if (state === 'held') held += 1;
      else consumed += 1;
    }
    return { held, consumed };
  }

  /** How often the head (`'head'`) or a part was changed; what is to be written then is {@link bytes}. */
  version(of: number | 'head'): number {
    return this.#versions[of === 'head' ? PARTS : of] ?? 0;
  }

  bytes(of: number | 'head'): Uint8Array {
    const time = this.#now();
    if (of === 'head') return bytesOf({ ...this.#head, time });
    return bytesOf({ version: 1, time, claims: this.#claims.part(of) });
  }

  /** Now and then: forgets what is over. True when its time ought to be written down. */
  tend(): boolean {
    const changed = this.#claims.sweep(this.#now());
    for (const part of changed) this.#changed(part);
    return changed.size > 0 || this.#claims.size > 0 || this.silentMs > 0;
  }

  answer(request: ClaimRequest, replica: string): Decision {
    if (request.op === 'holders') return { answer: this.#holders() };
    if (request.op === 'hear') {
      this.#hear(request.ballot);
      return { answer: { is: 'heard' } };
    }
    return 'next' in request ? this.#change(request) : this.#ofClaim(request, replica);
  }

  #ofClaim(request: OfClaim, replica: string): Decision {
    this.#hear(request.ballot);
    if (request.seen !== undefined) this.#hearToken(request.seen);
    if (!this.isAuthority) return { answer: refused('not-authority', { authority: this.heard }) };
    if (this.silentMs > 0) return { answer: refused('silent', { waitMs: this.silentMs }) };
    const part = partOf(request);
    const verdict = this.#judge(request, replica);
    if ('refused' in verdict) {
      const waitMs = 'waitMs' in verdict ? { waitMs: verdict.waitMs } : {};
      return { answer: refused(verdict.refused, waitMs), part };
    }
    if (verdict.changed) this.#changed(part);
    if (typeof verdict.is === 'string') return { answer: { is: verdict.is }, part };
    return { answer: { is: 'granted', token: verdict.is, reserved: this.#head.reserved }, part };
  }

  #judge(request: OfClaim, replica: string): Verdict<FencingToken | 'renewed' | 'committed' | 'released'> {
    const now = this.#now();
    const owner: ClaimOwner = { replica, worker: request.op === 'claim' ? request.worker : '' };
    switch (request.op) {
      case 'claim':
        return this.#claims.claim(request, owner, now, () => this.#nextToken());
      case 'renew':
        return this.#claims.renew(request, owner, now);
      case 'commit':
        return this.#claims.commit(request, owner, now);
      case 'release':
        return this.#claims.release(request, owner);
    }
  }

  #change(request: OfChange): Decision {
    const { next } = request;
    if (request.op === 'seal') this.#hear(request.from);
    const { heard } = this.#head;
    const order = heard === undefined ? 1 : compareBallots(next, heard);
    if (order < 0) return { answer: refused('not-authority', { authority: heard }) };
    switch (request.op) {
      case 'seal': {
        if (order > 0) this.#hearOnly(next);
        const others = this.#head.others.filter((other) => compareBallots(other, next) < 0);
        return { answer: { is: 'sealed', silentMs: this.silentMs, others } };
      }
      case 'give':
        if (order > 0) return { answer: refused('not-authority', { authority: heard }) };
        return { answer: { is: 'given', claims: this.#claims.moved(request.part, this.#now()) } };
      case 'take':
        return this.#take(request, order > 0);
      case 'assume':
        return { answer: this.#assume(request, order > 0) };
    }
  }

  #take(request: Extract<OfChange, { op: 'take' }>, isNews: boolean): Decision {
    const { next, part, claims } = request;
    if (next.relay !== this.relay) return { answer: refused('not-authority', { authority: this.heard }) };
    if (claims.some((claim) => partOf(claim) !== part)) return { answer: refused('incomplete') };
    if (this.#claims.size + claims.length > 2 * this.limits.claims) return { answer: refused('full') };
    if (isNews) this.#hearOnly(next);
    if (this.#taking === undefined || compareBallots(this.#taking.next, next) !== 0) {
      this.#taking = { next, parts: new Set() };
    }
    const now = this.#now();
    for (const { leftMs, ...claim } of claims) this.#claims.put({ ...claim, until: now + leftMs });
    this.#taking.parts.add(part);
    this.#changed(part);
    return { answer: { is: 'taken' }, part };
  }

  #assume(request: Extract<OfChange, { op: 'assume' }>, isNews: boolean): ClaimAnswer {
    const { next, silentMs } = request;
    if (next.relay !== this.relay) return refused('not-authority', { authority: this.heard });
    if (isNews) this.#hearOnly(next);
    if (!this.isAuthority) {
      const hasAll = this.#taking !== undefined && compareBallots(this.#taking.next, next) === 0;
      if (silentMs !== undefined && !(hasAll && this.#taking?.parts.size === PARTS))
        return refused('incomplete');
      this.#takeUp(next);
      if (silentMs === undefined) this.#beSilent();
      else this.#head.silentUntil = Math.max(this.#head.silentUntil, this.#now() + silentMs);
    }
    return { is: 'assumed', silentMs: this.silentMs };
  }

  /** Somebody says who the authority is: a higher ballot counts, whoever it names. */
  #hear(ballot: Ballot): void {
    const { heard } = this.#head;
    if (heard !== undefined && compareBallots(ballot, heard) <= 0) return;
    this.#hearOnly(ballot);
    if (ballot.relay !== this.relay) return;
    // Named without a word to it, or it has forgotten one: it knows nothing of leases that others gave.
    this.#takeUp(ballot);
    this.#beSilent();
  }

  /** Somebody has seen this token. One that this relay never set aside says that its disk is an older one. */
  #hearToken(seen: FencingToken): void {
    this.#hear({ term: seen.term, relay: seen.relay });
    if (seen.relay !== this.relay || seen.counter <= this.#head.reserved) return;
    this.#counter = this.#head.reserved = seen.counter;
    this.#beSilent();
    this.rolledBack += 1;
  }

  /** Times that it was found to have forgotten tokens that it handed out. */
  rolledBack = 0;

  #hearOnly(ballot: Ballot): void {
    this.#head.heard = ballot;
    // A change that was broken off may have got further than to seal this one: whoever makes the next must ask there.
    const others = this.#head.others.filter(({ relay }) => relay !== ballot.relay);
    this.#head.others = [...others, ballot].slice(-MOST_OTHERS);
    this.#changed('head');
  }

  #takeUp(ballot: Ballot): void {
    this.#head.taken = ballot;
    this.#head.others = [];
    this.#taking = undefined;
    // All parts are on disk before the head says so: one that is missing later was lost.
    for (let part = 0; part < PARTS; part += 1) this.#changed(part);
    this.#changed('head');
  }

  /** Until every lease that it may not know of is over. */
  #beSilent(): void {
    this.#head.silentUntil = this.#now() + this.limits.longestLeaseMs;
    this.#changed('head');
  }

  #nextToken(): FencingToken {
    this.#counter += 1;
    if (this.#counter > this.#head.reserved) {
      this.#head.reserved += TOKEN_BLOCK;
      this.#changed('head');
    }
    const { term, relay } = this.#head.taken as Ballot;
    return { term, relay, counter: this.#counter };
  }

  #holders(): ClaimAnswer {
    const now = this.#now();
    const held = this.#claims.all().filter(({ state, until }) => state === 'held' && until > now);
    const { heard } = this;
    return {
      is: 'holders',
      relay: this.relay,
      ...(heard !== undefined && { authority: heard }),
      silentMs: this.silentMs,
      ...this.counts(),
      holders: held.slice(0, MOST_SHOWN).map(({ namespace, key, owner, token, until }) => ({
        namespace,
        key,
        owner,
        token,
        leftMs: until - now,
      })),
    };
  }

  #changed(what: number | 'head'): void {
    const at = what === 'head' ? PARTS : what;
    this.#versions[at] = (this.#versions[at] ?? 0) + 1;
  }

  #now(): number {
    return this.#head.time + (this.monotonic() - this.#startedAt);
  }
}
