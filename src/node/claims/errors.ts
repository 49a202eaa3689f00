/**
 * - `none-named`: no relay is named as the authority on claims.
 * - `unknown-relay`: this replica is not connected to a relay of that name.
 * - `unreachable`: a relay that must say something does not.
 * - `overtaken`: others change the authority at the same time.
 * - `refused`: a relay does not take part in the change.
 */
export type ClaimsErrorCode = 'none-named' | 'unknown-relay' | 'unreachable' | 'overtaken' | 'refused';

export class ClaimsError extends Error {
  constructor(
    readonly code: ClaimsErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'ClaimsError';
  }
}
