import { digest } from '../documents/digest.js';
import { canonicalJson, isJson, type Json } from '../documents/json.js';
import { ActorError } from './errors.js';

/** Something to be done outside the actor: a name and its parameters, never a closure (PROTOCOL A1). */
export interface Effect {
  /** The same on every replica, whatever the order in which it came about; whoever carries it out is idempotent by it. */
  readonly id: string;
  readonly name: string;
  readonly params: Json;
  /** Id of the event whose transition yields it; `init` for the entry of the initial state. */
  readonly cause: string;
}

/** @throws {ActorError} `transition-failed` for parameters that JSON cannot carry. */
export function effectOf(actor: string, cause: string, action: { type: string; params?: unknown }): Effect {
  const params = action.params ?? null;
  if (!isJson(params)) {
    throw new ActorError('transition-failed', `action ${action.type} has parameters that are not plain JSON`);
  }
  const id = digest('understudy-effect', actor, cause, action.type, canonicalJson(params));
  return { id: id.toString('base64url').slice(0, 22), name: action.type, params, cause };
}
