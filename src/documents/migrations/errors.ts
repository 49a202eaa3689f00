/**
 * - `bad-step`: our own registry of steps breaks a rule that migrations rest on.
 * - `failed`: a step threw, or gave no JSON.
 * - `invalid`: what a migration made is not what it must be; the document stays as it was.
 * - `no-backup`: nothing to hold a rollback against.
 */
export class MigrationError extends Error {
  constructor(
    readonly code: 'bad-step' | 'failed' | 'invalid' | 'no-backup',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'MigrationError';
  }
}
