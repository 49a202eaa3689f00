import { KeyedStoreError } from '../../keyed/errors.js';
import type { LocalState } from './local-state.js';
import type { MatrixFilter, MatrixStorage, MatrixUserStorage } from './sdk-shape.js';
import { Transactions, type TransactionsContext } from './transactions.js';
import { Values } from './values.js';

/** One account's part: its token and filter on this replica, its values on all. */
class AccountStorage implements MatrixUserStorage {
  constructor(
    protected readonly local: LocalState,
    protected readonly values: Values,
    private readonly user: string,
  ) {}

  async setSyncToken(token: string | null): Promise<void> {
    await this.local.heard.room(this.local.signal);
    await this.local.setToken(this.user, token ?? null);
  }

  getSyncToken(): Promise<string | null> {
    return Promise.resolve(this.local.account(this.user).token);
  }

  setFilter(filter: MatrixFilter | null | undefined): Promise<void> {
    return this.local.setFilter(this.user, filter ?? null);
  }

  getFilter(): Promise<MatrixFilter> {
    return Promise.resolve(this.local.account(this.user).filter as MatrixFilter);
  }

  storeValue(key: string, value: string | null | undefined): Promise<void> {
    return this.values.set(this.#keyOf(key), value ?? undefined);
  }

  readValue(key: string): Promise<string | undefined> {
    return this.values.get(this.#keyOf(key));
  }

  /** With the length of the user's name, no key of one account reads as one of another. */
  #keyOf(key: string): string {
    return `value ${this.user.length} ${this.user} ${key}`;
  }
}

/** A storage provider for matrix-bot-sdk over a node (docs/matrix-storage.md). */
export class NodeMatrixStorage extends AccountStorage implements MatrixStorage {
  readonly #transactions: Transactions;
  readonly #users = new Map<string, MatrixUserStorage>();

  constructor(local: LocalState, context: TransactionsContext) {
    super(local, new Values(context), '');
    this.#transactions = new Transactions(context);
  }

  /** Counts until the first transaction. */
  set transactionLease(ms: number) {
    this.#transactions.lease = ms;
  }

  addRegisteredUser(userId: string): Promise<void> {
    return this.values.set(`registered ${userId}`, 'registered');
  }

  async isUserRegistered(userId: string): Promise<boolean> {
    return (await this.values.get(`registered ${userId}`)) !== undefined;
  }

  isTransactionCompleted(transactionId: string): Promise<boolean> {
    return this.#transactions.isCompleted(transactionId);
  }

  setTransactionCompleted(transactionId: string): Promise<void> {
    return this.#transactions.setCompleted(transactionId);
  }

  storageForUser(userId: string): MatrixUserStorage {
    if (userId === '') throw new KeyedStoreError('bad-key', 'a user of an appservice has an id');
    const known = this.#users.get(userId) ?? new AccountStorage(this.local, this.values, userId);
    this.#users.set(userId, known);
    return known;
  }
}
