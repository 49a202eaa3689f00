import { createHash } from 'node:crypto';
import { z } from 'zod';
import { KeyedStoreError } from '../../keyed/errors.js';
import type { ClaimStoreOptions } from '../../keyed/claim-options.js';
import type { ClaimStore, HeldClaim } from '../../keyed/claim-store.js';
import type { KeyedStoreOptions } from '../../keyed/options.js';
import type { Log } from '../../telemetry/log.js';
import { sleep } from '../../time/clock.js';
import { Values, type ValuesContext } from './values.js';

/** A homeserver sends its transactions one after the other, and again only the one that it got no answer to. */
const COMPLETED: KeyedStoreOptions<string> = {
  namespace: 'matrix-transactions',
  class: 'cache',
  ttl: 24 * 60 * 60_000,
  maxEntries: 1_000,
  persistent: true,
  shape: z.string(),
};

const CLAIMS: Omit<ClaimStoreOptions, 'ttl'> = {
  namespace: 'matrix-transactions',
  class: 'claim',
  keep: 10 * 60_000,
  whenUnreachable: 'wait',
};

const AGAIN_MS = 200;

export interface TransactionsContext extends ValuesContext {
  /** Some relay is named as the authority on claims. */
  hasAuthority(): boolean;
  openClaims(options: ClaimStoreOptions): ClaimStore;
  log: Log;
}

/**
 * Which transactions of an appservice were completed. The mark is replicated; where an authority on claims is named, a
 * replica also claims a transaction before it handles it, so that no other does meanwhile (docs/decisions/0019).
 */
export class Transactions {
  readonly #completed: Values;
  readonly #held = new Map<string, HeldClaim>();
  readonly #asked = new Map<string, Promise<boolean>>();
  #claims: ClaimStore | undefined;

  /** How long after a replica's death another takes its transaction up, milliseconds. */
  lease = 15_000;

  constructor(private readonly context: TransactionsContext) {
    this.#completed = new Values(context, COMPLETED);
  }

  /** One look for all who ask meanwhile: the homeserver asks again when it has waited for long. */
  isCompleted(transactionId: string): Promise<boolean> {
    const id = keyOf(transactionId);
    const asked = this.#asked.get(id) ?? this.#answer(id).finally(() => this.#asked.delete(id));
    this.#asked.set(id, asked);
    return asked;
  }

  async setCompleted(transactionId: string): Promise<void> {
    const id = keyOf(transactionId);
    await this.#completed.set(id, 'completed');
    const claim = this.#held.get(id);
    this.#held.delete(id);
    if (claim === undefined) return;
    try {
      await this.#store().commit(claim);
    } catch (error) {
      if (!(error instanceof KeyedStoreError)) throw error;
      // It is done, and the mark goes to the others: what is missing is the word of the authority alone.
      this.context.log.warn({ code: error.code }, 'the authority does not know a transaction as completed');
    }
  }

  async #answer(id: string): Promise<boolean> {
    try {
      return await this.#look(id);
    } catch (error) {
      if (!this.context.signal.aborted) throw error;
      // The node is closed: no answer, and the homeserver asks again. A rejection would end the SDK's process.
      return new Promise<never>(() => {});
    }
  }

  async #look(id: string): Promise<boolean> {
    for (;;) {
      if ((await this.#completed.get(id)) !== undefined) return true;
      if (!this.context.hasAuthority() || (this.#held.get(id)?.leftMs() ?? 0) > 0) return false;
      const waitMs = await this.#claim(id);
      if (typeof waitMs === 'boolean') return waitMs;
      await sleep(this.context.clock, waitMs, this.context.signal);
    }
  }

  /** Whether it is completed, or after how long to look again. */
  async #claim(id: string): Promise<boolean | number> {
    const { signal, log } = this.context;
    try {
      const claimed = await this.#store().claim(id, { owner: 'appservice', signal });
      if (claimed.granted) {
        if ('token' in claimed) this.#held.set(id, claimed);
        return false;
      }
      return claimed.reason === 'consumed' ? true : Math.max(AGAIN_MS, claimed.waitMs);
    } catch (error) {
      if (!(error instanceof KeyedStoreError) || (error.code !== 'no-authority' && error.code !== 'full'))
        throw error;
      log.warn({ code: error.code }, 'a transaction waits for the authority on claims');
      return AGAIN_MS;
    }
  }

  #store(): ClaimStore {
    this.#claims ??= this.context.openClaims({ ...CLAIMS, ttl: this.lease });
    return this.#claims;
  }
}

/** A homeserver may call its transactions anything. */
const keyOf = (transactionId: string): string =>
  createHash('sha256').update(transactionId).digest('base64url');
