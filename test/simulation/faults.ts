import { HomeserverError } from '../../src/matrix/homeserver.js';
import type { RateLimit } from './rate-limit.js';

/** One request as the simulated homeserver got it. */
export interface SimulatedRequest {
  /** The name of the client that sent it. */
  client: string;
  user: string;
  device: string;
  /** The method of `Homeserver`, such as `send` or `sync`. */
  call: string;
  room?: string;
  type?: string;
  txn?: string;
  /** Of a read receipt: what was read. Of a look at one event: which. */
  event?: string;
  content?: Record<string, unknown>;
}

export type Match = (request: SimulatedRequest) => boolean;

/**
 * `before`: it has arrived and is not applied. `after`: it is applied and its answer is not on the way yet.
 * `middle` (createRoom only): alias and room exist, its events do not.
 */
export type Stage = 'before' | 'middle' | 'after';

type Verdict = 'release' | 'lose' | 'refuse';

/** A request stopped at a stage. One request only: the next that matches passes. */
export class Hold {
  /** Resolves when the request is here. */
  readonly arrived: Promise<SimulatedRequest>;
  readonly #verdict: Promise<Verdict>;
  #arrive!: (request: SimulatedRequest) => void;
  #decide!: (verdict: Verdict) => void;
  #used = false;

  constructor(
    readonly match: Match,
    readonly stage: Stage,
  ) {
    this.arrived = new Promise((resolve) => (this.#arrive = resolve));
    this.#verdict = new Promise((resolve) => (this.#decide = resolve));
  }

  get used(): boolean {
    return this.#used;
  }

  /** It goes on. The sender may have given up meanwhile: then it is applied all the same, and late. */
  release(): void {
    this.#decide('release');
  }

  /** At `before`: never applied. At `after`: applied, and the answer is lost. The sender sees `unreachable`. */
  drop(): void {
    this.#decide('lose');
  }

  /** Same as {@link drop}, for a hold at `after`: what is lost is the answer. */
  lose(): void {
    this.drop();
  }

  /** At `before`: never applied, and answered 403 as of an earlier instant. */
  refuse(): void {
    this.#decide('refuse');
  }

  take(request: SimulatedRequest): Promise<Verdict> {
    this.#used = true;
    this.#arrive(request);
    return this.#verdict;
  }
}

export type Refused = 400 | 403 | 429 | 502;
const ERRCODES: Record<Refused, string | undefined> = {
  400: 'M_UNKNOWN',
  403: 'M_FORBIDDEN',
  429: 'M_LIMIT_EXCEEDED',
  502: undefined,
};

interface Refusal {
  match: Match;
  error: HomeserverError;
  left: number;
}

/** What tests do to requests on their way. */
export class Faults {
  readonly #holds: Hold[] = [];
  readonly #refusals: Refusal[] = [];
  readonly limits: RateLimit[] = [];

  hold(match: Match, stage: Stage): Hold {
    const hold = new Hold(match, stage);
    this.#holds.push(hold);
    return hold;
  }

  /** The next `times` matching requests are answered so and not applied. */
  refuse(match: Match, status: Refused, times = 1, retryAfterMs?: number): void {
    const errcode = ERRCODES[status];
    this.refuseBy(
      match,
      { status, ...(errcode && { errcode }), ...(retryAfterMs && { retryAfterMs }) },
      times,
    );
  }

  /** From now until the returned function is called. */
  refuseBy(
    match: Match,
    detail: HomeserverError['detail'] & { status: number },
    times = Infinity,
  ): () => void {
    const { status, errcode } = detail;
    const code = status === 429 ? 'rate-limited' : status >= 500 ? 'unreachable' : 'refused';
    const error = new HomeserverError(code, `simulated ${status} ${errcode ?? ''}`, detail);
    const refusal = { match, error, left: times };
    this.#refusals.push(refusal);
    return () => void (refusal.left = 0);
  }

  refusalOf(request: SimulatedRequest): HomeserverError | undefined {
    const refusal = this.#refusals.find((one) => one.left > 0 && one.match(request));
    if (!refusal)
      return this.limits.map((limit) => limit.refusalOf(request)).find((error) => error !== undefined);
    refusal.left -= 1;
    return refusal.error;
  }

  /** Waits where a test holds this request; rejects as `unreachable` when it is dropped there. */
  async pass(request: SimulatedRequest, stage: Stage): Promise<void> {
    const hold = this.#holds.find((one) => !one.used && one.stage === stage && one.match(request));
    if (!hold) return;
    const verdict = await hold.take(request);
    if (verdict === 'refuse')
      throw new HomeserverError('refused', 'simulated 403', { status: 403, errcode: 'M_FORBIDDEN' });
    if (verdict === 'lose') {
      throw new HomeserverError('unreachable', `simulated loss ${stage} ${request.call}`);
    }
  }
}
