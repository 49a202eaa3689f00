import { randomBytes } from 'node:crypto';
import { ClaimAsker } from '../../claims/asker.js';
import { handOver } from '../../claims/hand-over.js';
import type { Ballot } from '../../claims/token.js';
import type { ClaimAnswer } from '../../claims/wire.js';
import type { ClaimCounters } from '../../keyed/claim-counters.js';
import { claimRulesOf, type ClaimStoreOptions } from '../../keyed/claim-options.js';
import { ClaimStore } from '../../keyed/claim-store.js';
import { KeyedStoreError } from '../../keyed/errors.js';
import type { Relays } from '../../sync/connect.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import type { Cause, Write } from '../../documents/write.js';
import type { RecordView } from '../record-view.js';
import { authorityOf, keyOfBallot } from './authority-record.js';
import { ClaimsError } from './errors.js';
import type { SeenToken } from './seen-token.js';

const ASK_MS = 2_000;
/** How long relays may take to say what they have of the documents, and to store what was written, milliseconds. */
const RELAY_MS = 10_000;
/** A relay that another replica knows to be named is told of it within this, milliseconds. */
const TELL_MS = 30_000;
/** Changes made at the same time each take a higher term; one wins. */
const ATTEMPTS = 5;

export interface NodeClaimsContext {
  view: Pick<RecordView, 'keys' | 'read'>;
  relays: Pick<Relays, 'named' | 'claims' | 'channel'>;
  seen: SeenToken;
  counters: ClaimCounters;
  replica: string;
  change(writes: readonly Write[], cause: Cause): Promise<void>;
  synced(deadlineMs: number): Promise<boolean>;
  replicated(deadlineMs: number): Promise<boolean>;
  clock: Clock;
  log: Log;
}

/** Who decides on claims, and what a relay says of itself. */
export interface AuthorityStatus {
  authority: Ballot | undefined;
  /** Relays that are connected and can decide on claims. */
  relays: {
    relay: string;
    url: string;
    isAuthority: boolean;
    silentMs?: number;
    held?: number;
    consumed?: number;
  }[];
}

export type Holders = Extract<ClaimAnswer, { is: 'holders' }>;

/** Claims as a node makes them (docs/decisions/0016): of whom it asks, and who that is. */
export class NodeClaims {
  readonly #open = new Set<string>();
  readonly #asker: ClaimAsker;
  readonly #stop: (() => void)[];
  readonly #told = new Map<string, string>();

  constructor(private readonly context: NodeClaimsContext) {
    const { relays, seen, clock } = context;
    this.#asker = new ClaimAsker(
      {
        authority: () => this.authority(),
        ask: (relay, request, timeoutMs) => relays.claims(relay, request, timeoutMs),
        seen: () => seen.get(),
        saw: (token) => seen.saw(token),
        newRequestId: () => randomBytes(15).toString('base64url'),
      },
      clock,
    );
    this.#stop = [
      relays.channel.onPresence(() => this.tell()),
      clock.every(TELL_MS, () => {
        this.#told.clear();
        this.tell();
      }),
    ];
  }

  /** Who decides, as the cluster's document says; undefined: nobody was named. */
  authority(): Ballot | undefined {
    return authorityOf(this.context.view);
  }

  /** @throws {KeyedStoreError} `bad-options`, `already-open`. */
  open(options: ClaimStoreOptions): ClaimStore {
    const rules = claimRulesOf(options);
    const { namespace } = rules;
    if (this.#open.has(namespace)) {
      throw new KeyedStoreError(
        'already-open',
        `the claims of ${namespace} are open in this process already`,
      );
    }
    this.#open.add(namespace);
    return new ClaimStore(rules, {
      asker: this.#asker,
      counters: this.context.counters,
      log: this.context.log.child({ part: 'claims' }),
      close: () => void this.#open.delete(namespace),
    });
  }

  /** Tells every relay in reach who the authority is: one that was down when it was changed must not go on. */
  tell(): void {
    const ballot = this.authority();
    if (ballot === undefined) return;
    const { relays, log } = this.context;
    const text = keyOfBallot(ballot);
    for (const { relay } of relays.named()) {
      if (this.#told.get(relay) === text) continue;
      this.#told.set(relay, text);
      relays.claims(relay, { op: 'hear', ballot }, ASK_MS).then(
        (answer) => {
          if (answer === undefined) this.#told.delete(relay);
        },
        (error: unknown) => log.error({ err: error }, 'a relay could not be told of the authority'),
      );
    }
  }

  async status(): Promise<AuthorityStatus> {
    const authority = this.authority();
    const relays = await Promise.all(
      this.context.relays.named().map(async ({ relay, url }) => {
        const answer = await this.#holdersAt(relay);
        return {
          relay,
          url,
          isAuthority: relay === authority?.relay,
          ...(answer && { silentMs: answer.silentMs, held: answer.held, consumed: answer.consumed }),
        };
      }),
    );
    return { authority, relays };
  }

  /** @throws {ClaimsError} `none-named`, `unreachable`. */
  async holders(): Promise<Holders> {
    const authority = this.authority();
    if (authority === undefined) {
      throw new ClaimsError(
        'none-named',
        'no relay is named as the authority on claims: `understudy cluster authority set` names one',
      );
    }
    const answer = await this.#holdersAt(authority.relay);
    if (answer !== undefined) return answer;
    throw new ClaimsError('unreachable', `the authority on claims, ${authority.relay}, is out of reach`);
  }

  /**
   * Makes a relay, named by its lasting name or its URL, the authority: what the old one holds is handed over first.
   * With `giveUpOld` it is not asked: what was held there is waited for, what was committed there is forgotten.
   *
   * @throws {ClaimsError} `unknown-relay`, `unreachable`, `overtaken`, `refused`.
   */
  async setAuthority(
    wanted: string,
    { giveUpOld = false }: { giveUpOld?: boolean } = {},
  ): Promise<{ ballot: Ballot; silentMs: number; stored: boolean }> {
    const { relays, clock, replica } = this.context;
    const relay = relays.named().find((one) => one.relay === wanted || one.url === wanted)?.relay;
    if (relay === undefined) {
      throw new ClaimsError(
        'unknown-relay',
        `this replica is connected to no relay ${wanted} that decides on claims: \`understudy cluster authority show\` lists those that it is connected to`,
      );
    }
    if (!(await this.context.synced(RELAY_MS))) {
      throw new ClaimsError('unreachable', 'no relay has said what it has of the documents: try again');
    }
    const { ballot, silentMs } = await this.#changed(relay, giveUpOld);
    const cause = { id: `authority:${replica}:${ballot.term}`, ts: Math.floor(clock.now()) };
    const fields = { named_at: Math.floor(clock.now()), replica };
    await this.context.change([{ kind: 'authority', key: keyOfBallot(ballot), fields }], cause);
    const stored = await this.context.replicated(RELAY_MS);
    this.tell();
    return { ballot, silentMs, stored };
  }

  close(): void {
    for (const stop of this.#stop) stop();
  }

  async #changed(relay: string, giveUpOld: boolean): Promise<{ ballot: Ballot; silentMs: number }> {
    const { relays } = this.context;
    let term = this.authority()?.term ?? 0;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const from = this.authority();
      const next: Ballot = { term: Math.max(term, from?.term ?? 0) + 1, relay };
      const outcome = await handOver(
        (asked, request) => relays.claims(asked, request, ASK_MS),
        giveUpOld ? undefined : from,
        next,
      );
      switch (outcome.is) {
        case 'done':
          return outcome;
        case 'overtaken':
          term = outcome.by.term;
          break;
        case 'unreachable':
          throw new ClaimsError(
            'unreachable',
            outcome.relay === relay
              ? `${relay} does not answer: nothing was changed for good; do it again`
              : `${outcome.relay}, which decides on claims, does not answer: start it, and do it again; or give it up with --give-up-old, and what was committed there is forgotten`,
          );
        case 'refused':
          throw new ClaimsError('refused', `${outcome.relay} refuses (${outcome.reason}): do it again`);
      }
    }
    throw new ClaimsError(
      'overtaken',
      'the authority is being changed by others at the same time: look, and do it again',
    );
  }

  async #holdersAt(relay: string): Promise<Holders | undefined> {
    const answer = await this.context.relays.claims(relay, { op: 'holders' }, ASK_MS);
    return answer?.is === 'holders' ? answer : undefined;
  }
}
