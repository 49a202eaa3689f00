import { randomBytes } from 'node:crypto';
import { Authority } from '../claims/authority.js';
import { PARTS } from '../claims/claim.js';
import { authorityHead, keptPart, readKept, type AuthorityHead } from '../claims/head.js';
import { defaultClaimLimits, type ClaimLimits } from '../claims/limits.js';
import { claimRefusals, claimRequest, refused, type ClaimAnswer, type ClaimRefusal } from '../claims/wire.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import type { ClaimRecords } from './claim-records.js';
import { ClaimWriter, HEAD, NotOurs, partName } from './claim-writer.js';
import { doneWithin } from './deadline.js';

/** A disk may hang for long: an asker is told after this, milliseconds. */
const WRITE_MS = 5_000;
const OPEN_MS = 10_000;
const RETRY_MS = 5_000;
/** How often what is over is forgotten, and the authority's time written down, milliseconds. */
const TEND_MS = 30_000;

export interface RelayClaimsContext {
  /** The relay's lasting name and what it must never forget. */
  head: ClaimRecords;
  /** The claims themselves. */
  parts: ClaimRecords;
  limits?: Partial<ClaimLimits>;
  clock: Clock;
  log: Log;
}

/** Counts since the start, and how things stand. */
export interface ClaimStats {
  granted: number;
  /** Asked again with a request that was granted before. */
  repeated: number;
  renewed: number;
  committed: number;
  released: number;
  refused: Record<ClaimRefusal, number>;
  held: number;
  consumed: number;
  /** 1: this relay is the authority. */
  authority: number;
  /** Milliseconds until it answers. */
  silentMs: number;
  /** Times that its disk was found to be an older one. */
  rolledBack: number;
  /** Writes that failed. */
  failures: number;
}

/** The claims of one relay: reads what is kept, asks the {@link Authority}, and answers when that is on disk. */
export class RelayClaims {
  readonly #count = { granted: 0, repeated: 0, renewed: 0, committed: 0, released: 0, failures: 0 };
  readonly #refused = Object.fromEntries(claimRefusals.map((name) => [name, 0])) as Record<
    ClaimRefusal,
    number
  >;
  readonly #run = randomBytes(9).toString('hex');
  #open: { authority: Authority; writer: ClaimWriter } | undefined;
  #opening: Promise<void> | undefined;
  #timer: Cancel | undefined;
  #closed = false;
  #lastToken = 0;

  constructor(private readonly context: RelayClaimsContext) {}

  /** Resolves when it can answer, or when it was seen that it cannot yet: then it goes on trying. Never rejects. */
  async open(): Promise<void> {
    const { clock, log } = this.context;
    if (await doneWithin(clock, OPEN_MS, this.#tryToOpen())) return;
    log.error({}, 'the storage does not say what it holds of claims: this relay decides on none meanwhile');
  }

  /** Its lasting name; undefined while it can answer nothing. */
  get relay(): string | undefined {
    return this.#open?.authority.relay;
  }

  /** Undefined: that was no request. */
  async answer(body: unknown, replica: string): Promise<ClaimAnswer | undefined> {
    const request = claimRequest.safeParse(body);
    if (!request.success) return undefined;
    const answer = await this.#decide(request.data, replica);
    this.#counted(answer);
    return answer;
  }

  stats(): ClaimStats {
    const authority = this.#open?.authority;
    return {
      ...this.#count,
      refused: { ...this.#refused },
      ...(authority?.counts() ?? { held: 0, consumed: 0 }),
      authority: authority?.isAuthority === true ? 1 : 0,
      silentMs: authority?.silentMs ?? 0,
      rolledBack: authority?.rolledBack ?? 0,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.();
    await this.#opening;
    if (this.#open !== undefined) await this.#writeDown(this.#open);
    this.#open = undefined;
  }

  async #decide(request: Parameters<Authority['answer']>[0], replica: string): Promise<ClaimAnswer> {
    const open = this.#open;
    if (open === undefined) return refused('unavailable');
    const before = open.authority.rolledBack;
    const { answer, part } = open.authority.answer(request, replica);
    if (open.authority.rolledBack > before) this.#sayRolledBack();
    return (await this.#settled(open, part)) ? answer : refused('unavailable');
  }

  async #settled({ writer }: { writer: ClaimWriter }, part?: number): Promise<boolean> {
    try {
      return await doneWithin(this.context.clock, WRITE_MS, writer.settle(part));
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  async #writeDown(open: { authority: Authority; writer: ClaimWriter }): Promise<void> {
    if (open.authority.tend()) await this.#settled(open, undefined);
  }

  #counted(answer: ClaimAnswer): void {
    switch (answer.is) {
      case 'granted':
        this.#count[answer.token.counter > this.#lastToken ? 'granted' : 'repeated'] += 1;
        this.#lastToken = Math.max(this.#lastToken, answer.token.counter);
        return;
      case 'renewed':
      case 'committed':
      case 'released':
        this.#count[answer.is] += 1;
        return;
      case 'refused':
        this.#refused[answer.reason] += 1;
        return;
      default:
    }
  }

  #tryToOpen(): Promise<void> {
    this.#opening ??= this.#read().then(
      () => {
        this.#opening = undefined;
      },
      (error: unknown) => {
        this.#opening = undefined;
        this.#failed(error);
        this.#after(RETRY_MS, () => void this.#tryToOpen());
      },
    );
    return this.#opening;
  }

  async #read(): Promise<void> {
    const { head, parts, clock, log } = this.context;
    const limits = { ...defaultClaimLimits, ...this.context.limits };
    const known = readKept(authorityHead, await head.load(HEAD));
    const names = Array.from({ length: PARTS }, (_, part) => partName(part));
    const found = await Promise.all(names.map(async (name) => readKept(keptPart, await parts.load(name))));
    const kept = { head: { ...(known ?? newHead()), run: this.#run }, parts: found };
    const authority = new Authority(kept, limits, () => clock.monotonic());
    const writer = new ClaimWriter(authority, { head, parts }, this.#run);
    // Its name is on disk before anybody hears it, and no token of an earlier run comes again.
    await writer.settle();
    if (this.#closed) return;
    if (authority.lost > 0) {
      log.error(
        { relay: authority.relay, parts: authority.lost, silentMs: Math.round(authority.silentMs) },
        'THIS AUTHORITY HAS LOST CLAIMS: what was consumed may be claimed again; it is silent until all leases are over',
      );
    }
    this.#open = { authority, writer };
    this.#tendLater();
  }

  #tendLater(): void {
    this.#after(TEND_MS, () => {
      const open = this.#open;
      if (open === undefined) return;
      void this.#writeDown(open).then(() => this.#tendLater());
    });
  }

  #after(ms: number, run: () => void): void {
    if (!this.#closed) this.#timer = this.context.clock.after(ms, run);
  }

  #sayRolledBack(): void {
    this.context.log.error(
      { relay: this.relay },
      'THE STORAGE OF THIS RELAY IS AN OLDER ONE: a replica has seen tokens that it does not know of. It is silent until all leases are over; what was consumed since then may be claimed again',
    );
  }

  #failed(error: unknown): void {
    this.#count.failures += 1;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof NotOurs) {
      // What it holds in memory is no longer true, and nothing of it may ever be written again.
      this.#open = undefined;
      this.context.log.error({ reason }, 'this relay decides on no claims any more: start it again');
    } else this.context.log.error({ reason }, 'claims could not be read or written; nothing was answered');
  }
}

function newHead(): Omit<AuthorityHead, 'run'> {
  const relay = `relay-${randomBytes(9).toString('hex')}`;
  return { version: 1, relay, others: [], reserved: 0, time: 0, silentUntil: 0 };
}
