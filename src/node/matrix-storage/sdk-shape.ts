/** A filter as matrix-bot-sdk keeps it: its id at the homeserver, and what it was made from. */
export interface MatrixFilter {
  id: number;
  filter: unknown;
}

/**
 * What matrix-bot-sdk asks of a storage provider (its `IStorageProvider`), written out here: the library loads no Matrix
 * code. All verbs resolve when what they say is on this replica's disk, and wait while that disk fails.
 */
export interface MatrixUserStorage {
  /** Null clears it. Waits while as many events as may are not known to be done (`node.once`). */
  setSyncToken(token: string | null): Promise<void>;
  getSyncToken(): Promise<string | null>;
  /** Null or undefined clears it. */
  setFilter(filter: MatrixFilter | null | undefined): Promise<void>;
  /** Resolves to null where none is kept, as the SDK's own providers do; its type does not say so. */
  getFilter(): Promise<MatrixFilter>;
  /**
   * Null or undefined clears it.
   *
   * @throws {KeyedStoreError} `bad-key`, `bad-value` (4,096 bytes of JSON), `full`; {NodeError} `closed`.
   */
  storeValue(key: string, value: string | null | undefined): Promise<void>;
  /** Undefined where there is none. @throws {KeyedStoreError} `bad-key`. */
  readValue(key: string): Promise<string | undefined>;
}

/** The same with what it asks of one for appservices (its `IAppserviceStorageProvider`). */
export interface MatrixStorage extends MatrixUserStorage {
  addRegisteredUser(userId: string): Promise<void>;
  isUserRegistered(userId: string): Promise<boolean>;
  /**
   * False: this replica is to handle it. With an authority on claims, waits while another replica handles it, or while
   * the authority is out of reach: the SDK cannot take a rejection here, and the homeserver asks again.
   */
  isTransactionCompleted(transactionId: string): Promise<boolean>;
  setTransactionCompleted(transactionId: string): Promise<void>;
  /** Sync token, filter and values of its own. @throws {KeyedStoreError} `bad-key` for an empty id. */
  storageForUser(userId: string): MatrixUserStorage;
}
