import { sleep, type Clock } from '../time/clock.js';
import { Lease } from './lease.js';
import { compareTokens, type Ballot, type FencingToken } from './token.js';
import type { ClaimAnswer, ClaimRequest } from './wire.js';

/** What a holder needs of its node. */
export interface ClaimPort {
  /** Who the cluster's document says is the authority. */
  authority(): Ballot | undefined;
  /** Undefined: out of reach, or no answer in time; it may have been done all the same. */
  ask(relay: string, request: ClaimRequest, timeoutMs: number): Promise<ClaimAnswer | undefined>;
  /** The highest token that this replica has heard of, also in an earlier run. */
  seen(): FencingToken | undefined;
  /** Kept when it resolves. */
  saw(token: FencingToken): Promise<void>;
  newRequestId(): string;
}

export interface Address {
  namespace: string;
  key: string;
}

/** Refusals that decide nothing. */
const UNDECIDED = ['silent', 'not-authority', 'busy', 'unavailable', 'lease-too-long'] as const;

/** Why nobody decided. */
export type NoAuthority = 'none-named' | 'no-answer' | (typeof UNDECIDED)[number];

export type ClaimOutcome =
  | { is: 'granted'; token: FencingToken; lease: Lease }
  | { is: 'refused'; reason: 'held' | 'consumed' | 'full'; waitMs: number }
  | { is: 'undecided'; reason: NoAuthority };

export type EndOutcome =
  | { is: 'done' }
  | { is: 'refused'; reason: 'stale' | 'not-owner' | 'expired' | 'consumed' }
  | { is: 'undecided'; reason: NoAuthority };

/** An answer is waited for so long before it is asked for again, milliseconds. */
const ANSWER_MS = 2_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;

type Decided<T> = T | { is: 'undecided'; reason: NoAuthority };

/**
 * Asks the authority, again and again until it decides or the time is up. Every request may be sent twice: one that
 * was carried out and whose answer was lost is answered alike (PROTOCOL K1).
 */
export class ClaimAsker {
  constructor(
    private readonly port: ClaimPort,
    private readonly clock: Clock,
  ) {}

  async claim(
    address: Address,
    options: { leaseMs: number; worker: string; patienceMs: number; signal?: AbortSignal | undefined },
  ): Promise<ClaimOutcome> {
    const { leaseMs, worker } = options;
    // Of one request, the first time it was sent counts: an earlier copy of it may be the one that was granted.
    let [request, asked] = [this.port.newRequestId(), Lease.now(this.clock)];
    const again = (): void => {
      [request, asked] = [this.port.newRequestId(), Lease.now(this.clock)];
    };
    return this.#until(
      options,
      () => ({ op: 'claim', ...this.#known(), ...address, worker, request, leaseMs }),
      async (answer) => {
        if (answer.is === 'granted') {
          await this.port.saw({ ...answer.token, counter: answer.reserved });
          const lease = new Lease(this.clock, asked, leaseMs);
          if (lease.leftMs > 0) return { is: 'granted', token: answer.token, lease };
          // The answer came too late to be of use: not to stand in one's own way, it is given back.
          await this.release(address, answer.token, { patienceMs: 1 });
          again();
        }
        if (answer.is !== 'refused') return undefined;
        const { reason, waitMs = 0 } = answer;
        // Nothing was granted to this one. What could not be written may be granted yet, to this one alone.
        if (reason !== 'unavailable') again();
        return reason === 'held' || reason === 'consumed' || reason === 'full'
          ? { is: 'refused', reason, waitMs }
          : undefined;
      },
    );
  }

  /** Gives its new lease, counted from before it was asked for. */
  renew(
    address: Address,
    token: FencingToken,
    lease: Lease,
    options: { leaseMs: number; patienceMs: number; signal?: AbortSignal | undefined },
  ): Promise<EndOutcome> {
    const { leaseMs } = options;
    const asked = Lease.now(this.clock);
    return this.#until(
      options,
      () => ({ op: 'renew', ...this.#known(), ...address, token, leaseMs }),
      (answer) => {
        if (answer.is === 'renewed') lease.renewed(asked, leaseMs);
        return Promise.resolve(endOf(answer));
      },
    );
  }

  commit(
    address: Address,
    token: FencingToken,
    options: { keepMs: number; patienceMs: number; signal?: AbortSignal | undefined },
  ): Promise<EndOutcome> {
    const { keepMs } = options;
    return this.#until(
      options,
      () => ({ op: 'commit', ...this.#known(), ...address, token, keepMs }),
      (answer) => Promise.resolve(endOf(answer)),
    );
  }

  release(
    address: Address,
    token: FencingToken,
    options: { patienceMs: number; signal?: AbortSignal | undefined },
  ): Promise<EndOutcome> {
    return this.#until(
      options,
      () => ({ op: 'release', ...this.#known(), ...address, token }),
      (answer) => Promise.resolve(endOf(answer)),
    );
  }

  #known(): { ballot: Ballot; seen?: FencingToken } {
    const [ballot, seen] = [this.port.authority(), this.port.seen()];
    // Only asked for after an authority was found.
    return { ballot: ballot as Ballot, ...(seen !== undefined && { seen }) };
  }

  async #until<T>(
    { patienceMs, signal }: { patienceMs: number; signal?: AbortSignal | undefined },
    request: () => ClaimRequest,
    decided: (answer: ClaimAnswer) => Promise<T | undefined>,
  ): Promise<Decided<T>> {
    const until = this.clock.monotonic() + patienceMs;
    let reason: NoAuthority = 'none-named';
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      signal?.throwIfAborted();
      const left = until - this.clock.monotonic();
      if (left <= 0) return { is: 'undecided', reason };
      const authority = this.port.authority();
      const answer =
        authority && (await this.port.ask(authority.relay, request(), Math.min(ANSWER_MS, left)));
      const said = answer && (await decided(answer));
      if (said !== undefined) return said;
      reason = authority === undefined ? 'none-named' : reasonOf(answer);
      const soon = Math.min(waitMs, until - this.clock.monotonic());
      if (soon > 0) await sleep(this.clock, soon, signal);
    }
  }
}

function endOf(answer: ClaimAnswer): EndOutcome | undefined {
  if (answer.is === 'renewed' || answer.is === 'committed' || answer.is === 'released') return { is: 'done' };
  if (answer.is !== 'refused') return undefined;
  const { reason } = answer;
  const isFinal =
    reason === 'stale' || reason === 'not-owner' || reason === 'expired' || reason === 'consumed';
  return isFinal ? { is: 'refused', reason } : undefined;
}

function reasonOf(answer: ClaimAnswer | undefined): NoAuthority {
  if (answer?.is !== 'refused') return 'no-answer';
  const { reason } = answer;
  return UNDECIDED.find((one) => one === reason) ?? 'no-answer';
}

/** The higher one. */
export function later(one: FencingToken | undefined, other: FencingToken): FencingToken {
  return one !== undefined && compareTokens(one, other) >= 0 ? one : other;
}
