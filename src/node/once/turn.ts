import { KeyedStoreError } from '../../keyed/errors.js';
import type { ClaimStore, HeldClaim, UnguardedClaim } from '../../keyed/claim-store.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';

/** What a handler may ask of its turn at an event. */
export interface Turn {
  /** Aborted when another replica may be given the event, or the node closes. */
  readonly signal: AbortSignal;
  /** The fencing token, as text that sorts alike: a later turn at the event has a higher one. Undefined without an authority. */
  readonly fence: string | undefined;
  /** Of this replica at this event, counted from 1. */
  readonly attempt: number;
}

/** How many times a lease is renewed in its length. */
const RENEWALS = 3;

/** Keeps a claim while its handler runs: renews it in time, and aborts the turn when it is lost. */
export class HeldTurn {
  readonly #abort = new AbortController();
  readonly #stop: () => void;
  #renewing = false;

  constructor(
    private readonly store: ClaimStore,
    private readonly claim: HeldClaim | UnguardedClaim,
    private readonly context: { lease: number; clock: Clock; log: Log },
  ) {
    this.#stop =
      'token' in claim
        ? context.clock.every(context.lease / RENEWALS, () => this.#renewNow(claim))
        : () => {};
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get fence(): string | undefined {
    return 'token' in this.claim ? this.claim.fence : undefined;
  }

  end(): void {
    this.#stop();
  }

  abort(): void {
    this.#abort.abort();
  }

  #renewNow(claim: HeldClaim): void {
    if (this.#renewing || this.signal.aborted) return;
    this.#renewing = true;
    this.#renew(claim)
      .catch((error: unknown) => this.context.log.error({ err: error }, 'a turn could not be renewed'))
      .finally(() => (this.#renewing = false));
  }

  async #renew(claim: HeldClaim): Promise<void> {
    try {
      if (await this.store.renew(claim, { patience: Math.ceil(this.context.lease / RENEWALS) })) return;
    } catch (error) {
      if (!(error instanceof KeyedStoreError) || error.code !== 'no-authority') throw error;
      if (claim.leftMs() > 0) return;
    }
    this.context.log.warn({}, 'a turn at an event is lost: another replica may be given it');
    this.abort();
  }
}
