/**
 * - `unknown-name`: no agent or machine of the scaffold has that name.
 * - `bad-token`: a token is 1 to 200 printable characters.
 * - `elsewhere`: another node has begun with this token and is not done.
 * - `unreachable`: no relay has said whether another node used the token, or has stored that this one does.
 */
export class SeedError extends Error {
  constructor(
    readonly code: 'unknown-name' | 'bad-token' | 'elsewhere' | 'unreachable',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'SeedError';
  }
}
