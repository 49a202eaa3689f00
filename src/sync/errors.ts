/**
 * What is wrong with the settings or the machine, before anything runs:
 * - `token-required`: a relay that would listen beyond loopback has no token.
 * - `bad-token`: a token is empty, or has characters that no header can carry.
 * - `bad-tokens-file`: the list of tokens cannot be read, is malformed, or others may change it.
 * - `bad-certificate`: TLS with this certificate and key is not possible.
 * - `bad-relay-url`: not a ws:// or wss:// URL.
 * - `bad-name`: a replica id or incarnation that the wire does not allow.
 * - `port-in-use`, `cannot-listen`: the operating system refused the address.
 * - `storage`: the relay's storage did not answer at start.
 */
export class SyncError extends Error {
  constructor(
    readonly code:
      | 'token-required'
      | 'bad-token'
      | 'bad-tokens-file'
      | 'bad-certificate'
      | 'bad-relay-url'
      | 'bad-name'
      | 'port-in-use'
      | 'cannot-listen'
      | 'storage',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'SyncError';
  }
}
