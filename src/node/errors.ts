/**
 * - `aborted`: the caller's signal ended the opening; nothing is left open.
 * - `closed`: the node was closed.
 * - `unarchived`: no relay has stored the history of a generation, so it is not cut now.
 * - `missing-history`: an archive that the answer depends on is neither on this disk nor at a relay in reach.
 * - `storage`: what stands in the data folder cannot be used; the message says what and what to do.
 */
export class NodeError extends Error {
  constructor(
    readonly code: 'aborted' | 'closed' | 'storage' | 'unarchived' | 'missing-history',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'NodeError';
  }
}
