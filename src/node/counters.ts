import type { CountMalformed, Malformed } from '../documents/errors.js';

/** What went wrong outside this node, counted: a peer's bytes, a caller's handler. */
export class NodeCounters {
  readonly malformed: Record<Malformed, number> = { value: 0, json: 0, size: 0, field: 0, map: 0 };
  /** Change bytes from the fast path that Automerge refused, or for a document that is not open here. */
  refusedChanges = 0;
  /** Handlers of `onChange` that threw. */
  failedHandlers = 0;

  readonly countMalformed: CountMalformed = (what) => {
    this.malformed[what] += 1;
  };
}
