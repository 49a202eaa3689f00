/** What became of claims since the start; shared by all namespaces of a node. */
export class ClaimCounters {
  granted = 0;
  /** Another has it, or it was committed. */
  refused = 0;
  renewed = 0;
  committed = 0;
  released = 0;
  /** Refused because the token is not the one that stands, or another replica's. */
  stale = 0;
  /** Verbs that no authority decided in time, and that were not carried out: the rule is to wait. */
  waited = 0;
  /** Verbs that no authority decided in time, and that went on without one. */
  proceeded = 0;
  /** Of these: found afterwards to have been another's too. */
  duplicates = 0;
  /** Times that the highest token seen could not be written down. */
  persistenceErrors = 0;
}
