import { addressOf, partOf, PARTS, type Claim, type ClaimOwner } from './claim.js';
import type { ClaimLimits } from './limits.js';
import { compareTokens, type FencingToken } from './token.js';
import type { ClaimRequest, MovedClaim } from './wire.js';

type Ask<Op extends ClaimRequest['op']> = Extract<ClaimRequest, { op: Op }>;

/** What is said of one request, and whether what is kept has changed by it. */
export type Verdict<Good> =
  { is: Good; changed: boolean } | { refused: 'held' | 'consumed'; waitMs: number } | Refused;
type Refused = { refused: 'expired' | 'stale' | 'not-owner' | 'full' | 'lease-too-long' };

/**
 * Every claim that the authority knows, and the rules by which one is given, ended, or refused. All times are the
 * authority's own: it goes on while the authority runs, and never faster than true time.
 */
export class Claims {
  readonly #parts = Array.from({ length: PARTS }, () => new Map<string, Claim>());
  readonly #inNamespace = new Map<string, number>();

  constructor(private readonly limits: ClaimLimits) {}

  get size(): number {
    return this.#parts.reduce((sum, part) => sum + part.size, 0);
  }

  all(): Claim[] {
    return this.#parts.flatMap((part) => [...part.values()]);
  }

  part(index: number): Claim[] {
    return [...(this.#parts[index]?.values() ?? [])];
  }

  /** The same key twice: consumed stays consumed, else the later token stands. */
  put(claim: Claim): void {
    const before = this.#get(claim);
    if (before?.state === 'consumed' && claim.state === 'held') return;
    const keeps = before !== undefined && before.state === claim.state;
    if (keeps && compareTokens(before.token, claim.token) > 0) return;
    this.#set(claim);
  }

  claim(ask: Ask<'claim'>, owner: ClaimOwner, now: number, next: () => FencingToken): Verdict<FencingToken> {
    if (this.#isTooLong(ask)) return { refused: 'lease-too-long' };
    const standing = this.#get(ask);
    if (standing !== undefined) {
      const waitMs = standing.until - now;
      const isSame = standing.request === ask.request && standing.owner.replica === owner.replica;
      if (standing.state === 'consumed' && waitMs > 0) return { refused: 'consumed', waitMs };
      if (standing.state === 'held' && waitMs > 0) {
        return isSame ? { is: standing.token, changed: false } : { refused: 'held', waitMs };
      }
      // Its asker counts from the first time that it asked: a new lease would be over for it already.
      if (standing.state === 'held' && isSame) return { refused: 'expired' };
    } else if (!this.#hasRoom(ask.namespace, now)) return { refused: 'full' };
    const { namespace, key, request } = ask;
    const token = next();
    this.#set({ namespace, key, owner, request, token, state: 'held', until: now + ask.leaseMs });
    return { is: token, changed: true };
  }

  renew(ask: Ask<'renew'>, { replica }: ClaimOwner, now: number): Verdict<'renewed'> {
    if (this.#isTooLong(ask)) return { refused: 'lease-too-long' };
    const standing = this.#get(ask);
    const fault = faultOf(standing, ask.token, replica);
    if (fault !== undefined) return { refused: fault };
    if (standing?.state !== 'held') return { refused: 'consumed', waitMs: (standing?.until ?? now) - now };
    // Nobody else has it yet, but somebody may have been told that it is free from now on.
    if (standing.until <= now) return { refused: 'expired' };
    this.#set({ ...standing, until: Math.max(standing.until, now + ask.leaseMs) });
    return { is: 'renewed', changed: true };
  }

  /** Also after the lease is over, as long as nobody else was given the key. */
  commit(ask: Ask<'commit'>, { replica }: ClaimOwner, now: number): Verdict<'committed'> {
    const standing = this.#get(ask);
    const fault = faultOf(standing, ask.token, replica);
    if (fault !== undefined || standing === undefined) return { refused: fault ?? 'stale' };
    if (standing.state === 'consumed') return { is: 'committed', changed: false };
    this.#set({ ...standing, state: 'consumed', until: now + ask.keepMs });
    return { is: 'committed', changed: true };
  }

  /** Of a key that nobody has, it is released already. */
  release(ask: Ask<'release'>, { replica }: ClaimOwner): Verdict<'released'> {
    const standing = this.#get(ask);
    if (standing === undefined) return { is: 'released', changed: false };
    const fault = faultOf(standing, ask.token, replica);
    if (fault !== undefined) return { refused: fault };
    if (standing.state === 'consumed') return { refused: 'stale' };
    this.#remove(standing);
    return { is: 'released', changed: true };
  }

  /** Forgets what is over, and gives the parts that changed by it. A lease that just ended may still be committed. */
  sweep(now: number): Set<number> {
    const changed = new Set<number>();
    for (const claim of this.all()) {
      const grace = claim.state === 'held' ? this.limits.longestLeaseMs : 0;
      if (claim.until + grace > now) continue;
      this.#remove(claim);
      changed.add(partOf(claim));
    }
    return changed;
  }

  moved(index: number, now: number): MovedClaim[] {
    return this.part(index).map(({ until, ...rest }) => ({ ...rest, leftMs: Math.max(0, until - now) }));
  }

  /** Silence after a loss is measured by the longest lease that is ever given. */
  #isTooLong({ leaseMs }: { leaseMs: number }): boolean {
    return leaseMs > this.limits.longestLeaseMs;
  }

  #hasRoom(namespace: string, now: number): boolean {
    const isFull = (): boolean =>
      this.size >= this.limits.claims || (this.#inNamespace.get(namespace) ?? 0) >= this.limits.perNamespace;
    // What is swept here is written with the next change of its part; on disk it is over as well.
    if (isFull()) this.sweep(now);
    return !isFull();
  }

  #get(address: Pick<Claim, 'namespace' | 'key'>): Claim | undefined {
    return this.#parts[partOf(address)]?.get(addressOf(address));
  }

  #set(claim: Claim): void {
    if (this.#get(claim) === undefined) this.#count(claim.namespace, 1);
    this.#parts[partOf(claim)]?.set(addressOf(claim), claim);
  }

  #remove(claim: Claim): void {
    if (this.#parts[partOf(claim)]?.delete(addressOf(claim))) this.#count(claim.namespace, -1);
  }

  #count(namespace: string, by: number): void {
    const count = (this.#inNamespace.get(namespace) ?? 0) + by;
    if (count > 0) this.#inNamespace.set(namespace, count);
    else this.#inNamespace.delete(namespace);
  }
}

/** Why a token is not good for a key. */
function faultOf(
  standing: Claim | undefined,
  token: FencingToken,
  replica: string,
): 'stale' | 'not-owner' | undefined {
  if (standing === undefined || compareTokens(standing.token, token) !== 0) return 'stale';
  return standing.owner.replica === replica ? undefined : 'not-owner';
}
