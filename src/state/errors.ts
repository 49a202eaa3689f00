/**
 * - `closed`: the service was shut down.
 * - `not-flushed`: the disk did not take the documents in time; they stay in memory and are tried again.
 * - `not-written`: a snapshot or a report could not be written; what stood there before stands.
 * - `invalid-report`: a format that is none, or a content that is neither text nor bytes.
 */
export class StateError extends Error {
  constructor(
    readonly code: 'closed' | 'not-flushed' | 'not-written' | 'invalid-report',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StateError';
  }
}
