/**
 * - `unwritable`: the disk refused; nothing of this append is acknowledged. The entries stay in the state and
 *   are written with the next append that succeeds.
 * - `invalid`: an entry that its own schema does not accept; nothing was applied.
 * - `closed`: after `close()`.
 * - `newer`: the file was written by a newer version, and is left alone.
 */
export class JournalError extends Error {
  constructor(
    readonly code: 'unwritable' | 'invalid' | 'closed' | 'newer',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'JournalError';
  }
}
