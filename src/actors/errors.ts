/**
 * What went wrong with an actor, for callers to branch on:
 *
 * - `bad-key`: no actor key (`<machine id>/<place>[/<rest>]`, no white space).
 * - `unknown-machine`: no machine of that id (or of that version) is registered.
 * - `invalid-machine`: a definition that cannot be replicated or that XState refuses; the message says where.
 * - `duplicate-machine`: two machines with one id and version, and different definitions.
 * - `definition-changed`: the documents hold this id and version with another definition: raise the version.
 * - `missing-actor`: the actor has no event yet, and the caller asked for one that has.
 * - `unknown-event`: the machine has no transition for an event of this type in any state.
 * - `invalid-event`: a field that the machine does not declare, or more than 1 KB of them.
 * - `invalid-context`: a context that JSON cannot carry.
 * - `transition-failed`: a guard or an assignment threw, or the machine never comes to rest.
 * - `unknown-state`: a saved state that the machine does not have, and no migration for it.
 * - `quarantined`: this actor alone stands still until it is released; the message says why.
 * - `not-quarantined`: a release of an actor that does not stand still; its state stays as it is.
 * - `archived`: the actor was over, and left the hot documents; it takes no event any more.
 * - `newer-version`: the actor was upgraded to a version that is not registered here.
 */
export type ActorErrorCode =
  | 'bad-key'
  | 'unknown-machine'
  | 'invalid-machine'
  | 'duplicate-machine'
  | 'definition-changed'
  | 'missing-actor'
  | 'unknown-event'
  | 'invalid-event'
  | 'invalid-context'
  | 'transition-failed'
  | 'unknown-state'
  | 'quarantined'
  | 'not-quarantined'
  | 'archived'
  | 'newer-version';

export class ActorError extends Error {
  constructor(
    readonly code: ActorErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ActorError';
  }
}
