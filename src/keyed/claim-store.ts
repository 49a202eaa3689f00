import type { Address, ClaimAsker, EndOutcome, NoAuthority } from '../claims/asker.js';
import type { Lease } from '../claims/lease.js';
import { tokenText, type FencingToken } from '../claims/token.js';
import type { Log } from '../telemetry/log.js';
import { assertKey } from './bounds.js';
import type { ClaimCounters } from './claim-counters.js';
import type { ClaimRules } from './claim-options.js';
import { KeyedStoreError } from './errors.js';

/** A key that this replica was given. */
export interface HeldClaim {
  granted: true;
  key: string;
  /** The relay that decided. */
  authority: string;
  /** Rises with every grant of a key: show it to whatever the work is done on, and let that refuse a lower one. */
  token: FencingToken;
  /** The same as text that sorts alike. */
  fence: string;
  /**
   * Milliseconds for which it is held yet, by this replica's clocks: 0 when it is over. A process may stand still
   * between a look at it and what it does then; only a resource that knows the token can see that.
   */
  leftMs(): number;
}

/** Nobody decided, and the namespace goes on all the same: another replica may do what this one does. */
export interface UnguardedClaim {
  granted: true;
  key: string;
  authority: 'none';
  risk: 'duplicate';
  /** Why nobody decided. */
  because: NoAuthority;
}

export interface RefusedClaim {
  granted: false;
  key: string;
  reason: 'held' | 'consumed';
  /** When it is free at the latest, milliseconds, as things stand. */
  waitMs: number;
}

export type Claimed = HeldClaim | UnguardedClaim | RefusedClaim;

/** What ended a claim: the authority, or nobody. */
export type Ended = { authority: string } | { authority: 'none'; risk: 'duplicate' };

export interface ClaimVerbOptions {
  /** In place of the namespace's. */
  patience?: number;
  signal?: AbortSignal;
}

/** How a verb that no authority decided is tried once more, when what it would end was never decided. */
const AFTERWARDS_MS = 1_000;

/**
 * The claims of one namespace (PROTOCOL K1): of all replicas that claim a key one is given it, until it releases it,
 * commits it, which takes the key for good, or its time is over. Every verb asks the authority, and may wait for it.
 */
export class ClaimStore {
  /** Of what was granted here: its lease. */
  readonly #leases = new WeakMap<HeldClaim, Lease>();

  constructor(
    private readonly rules: ClaimRules,
    private readonly context: {
      asker: ClaimAsker;
      counters: ClaimCounters;
      log: Log;
      close(): void;
    },
  ) {}

  get namespace(): string {
    return this.rules.namespace;
  }

  /**
   * Asks for a key. `owner` is a name for whoever works on it, for people who look; the replica itself is known.
   *
   * @throws {KeyedStoreError} `bad-key`; `full`, when the authority keeps as many claims as it may; `no-authority`,
   * when nobody decided in time and the namespace waits.
   */
  async claim(key: string, options: ClaimVerbOptions & { owner?: string } = {}): Promise<Claimed> {
    const { rules, context } = this;
    assertKey(rules.namespace, key);
    const asked = { ...this.#patience(options), leaseMs: rules.ttl, worker: options.owner ?? '' };
    const outcome = await context.asker.claim(this.#address(key), asked);
    switch (outcome.is) {
      case 'granted':
        context.counters.granted += 1;
        return this.#held(key, outcome.token, outcome.lease);
      case 'refused': {
        const { reason, waitMs } = outcome;
        context.counters.refused += 1;
        if (reason !== 'full') return { granted: false, key, reason, waitMs };
        throw new KeyedStoreError(
          'full',
          `the authority keeps as many claims as it may (${rules.namespace}): commit less, for a shorter time, or release`,
        );
      }
      case 'undecided':
        this.#undecided('claim', key, outcome.reason);
        return { granted: true, key, authority: 'none', risk: 'duplicate', because: outcome.reason };
    }
  }

  /**
   * Holds it for another ttl from now; false when it is over, because another has it or may have.
   *
   * @throws {KeyedStoreError} `no-authority`, also where the namespace goes on without one: it is held as long as it was.
   */
  async renew(claim: HeldClaim, options: ClaimVerbOptions = {}): Promise<boolean> {
    const lease = this.#leases.get(claim);
    if (lease === undefined) return false;
    const { ttl } = this.rules;
    const asked = { ...this.#patience(options), leaseMs: ttl };
    const outcome = await this.context.asker.renew(this.#address(claim.key), claim.token, lease, asked);
    if (outcome.is === 'undecided') throw this.#noAuthority('renew', claim.key, outcome.reason);
    if (outcome.is === 'done') this.context.counters.renewed += 1;
    else this.context.counters.stale += 1;
    return outcome.is === 'done';
  }

  /**
   * What was claimed is done: nobody is given the key again while the authority remembers it (`keep`). Safe to do
   * twice, and in a later run of this replica with a token that was kept.
   *
   * @throws {KeyedStoreError} `stale`, when another was given it since; `not-owner`; `no-authority`.
   */
  async commit(
    claim: HeldClaim | UnguardedClaim | { key: string; token: FencingToken },
    options: ClaimVerbOptions = {},
  ): Promise<Ended> {
    const { keep } = this.rules;
    if (!('token' in claim)) return this.#commitUnguarded(claim.key, options);
    const asked = { ...this.#patience(options), keepMs: keep };
    const outcome = await this.context.asker.commit(this.#address(claim.key), claim.token, asked);
    const ended = this.#ended('commit', claim.key, claim.token, outcome);
    if (ended.authority !== 'none') this.context.counters.committed += 1;
    return ended;
  }

  /**
   * Gives it back undone: another may be given the key at once.
   *
   * @throws {KeyedStoreError} `stale`, when another was given it since or it was committed; `not-owner`; `no-authority`.
   */
  async release(
    claim: HeldClaim | UnguardedClaim | { key: string; token: FencingToken },
    options: ClaimVerbOptions = {},
  ): Promise<Ended> {
    if (!('token' in claim)) return { authority: 'none', risk: 'duplicate' };
    const { key, token } = claim;
    const outcome = await this.context.asker.release(this.#address(key), token, this.#patience(options));
    const ended = this.#ended('release', key, token, outcome);
    if (ended.authority !== 'none') this.context.counters.released += 1;
    return ended;
  }

  /** Another may open the namespace in this process. What is held stays held until its time is over. */
  close(): void {
    this.context.close();
  }

  /** What was done without a word of the authority: if it can be asked now, it takes the key, or says who has it. */
  async #commitUnguarded(key: string, options: ClaimVerbOptions): Promise<Ended> {
    const { rules, context } = this;
    const patienceMs = Math.min(AFTERWARDS_MS, options.patience ?? rules.patience);
    const asked = { patienceMs, leaseMs: rules.ttl, worker: 'afterwards', signal: options.signal };
    const outcome = await context.asker.claim(this.#address(key), asked);
    if (outcome.is === 'granted') return this.commit(this.#held(key, outcome.token, outcome.lease), options);
    if (outcome.is === 'refused' && outcome.reason !== 'full') {
      context.counters.duplicates += 1;
      context.log.warn(
        { namespace: rules.namespace, reason: outcome.reason },
        'what was done without an authority was another replica’s too',
      );
    }
    return { authority: 'none', risk: 'duplicate' };
  }

  #ended(verb: 'commit' | 'release', key: string, token: FencingToken, outcome: EndOutcome): Ended {
    if (outcome.is === 'done') return { authority: token.relay };
    if (outcome.is === 'undecided') {
      this.#undecided(verb, key, outcome.reason);
      return { authority: 'none', risk: 'duplicate' };
    }
    this.context.counters.stale += 1;
    if (outcome.reason === 'not-owner') {
      throw new KeyedStoreError('not-owner', `another replica holds that claim of ${this.rules.namespace}`);
    }
    throw new KeyedStoreError(
      'stale',
      `the token ${tokenText(token)} is not the one that stands in ${this.rules.namespace}: another was given the key since, or it ended`,
    );
  }

  #held(key: string, token: FencingToken, lease: Lease): HeldClaim {
    const held: HeldClaim = {
      granted: true,
      key,
      authority: token.relay,
      token,
      fence: tokenText(token),
      leftMs: () => lease.leftMs,
    };
    this.#leases.set(held, lease);
    return held;
  }

  /** By the namespace's rule. */
  #undecided(verb: string, key: string, reason: NoAuthority): void {
    const { rules, context } = this;
    if (rules.whenUnreachable === 'wait') throw this.#noAuthority(verb, key, reason);
    context.counters.proceeded += 1;
    context.log.warn(
      { namespace: rules.namespace, verb, reason },
      'no authority decides on claims: the namespace goes on, and another replica may do the same',
    );
  }

  #noAuthority(verb: string, key: string, reason: NoAuthority): KeyedStoreError {
    this.context.counters.waited += 1;
    const what = reason === 'none-named' ? noneNamed : `it says, or does not say: ${reason}`;
    return new KeyedStoreError(
      'no-authority',
      `no authority decided in time on ${verb} of a key of ${this.rules.namespace} (${Buffer.byteLength(key)} bytes): ${what}`,
    );
  }

  #patience({ patience, signal }: ClaimVerbOptions): { patienceMs: number; signal: AbortSignal | undefined } {
    return { patienceMs: patience ?? this.rules.patience, signal };
  }

  #address(key: string): Address {
    return { namespace: this.rules.namespace, key };
  }
}

const noneNamed = 'no relay is named as the authority: `understudy cluster authority set` names one';
