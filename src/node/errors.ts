/**
 * - `aborted`: the caller's signal ended the opening; nothing is left open.
 * - `closed`: the node was closed.
 * - `storage`: what stands in the data folder cannot be used; the message says what and what to do.
 */
export class NodeError extends Error {
  constructor(
    readonly code: 'aborted' | 'closed' | 'storage',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'NodeError';
  }
}
