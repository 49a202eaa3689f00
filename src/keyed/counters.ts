/** What happened in keyed stores since the start; shared by all of a node. */
export class KeyedCounters {
  /** Look-ups answered. */
  hits = 0;
  /** Look-ups that found nothing. */
  misses = 0;
  /** Of the hits: those that memory did not have and the documents did. */
  restored = 0;
  registered = 0;
  consumed = 0;
  /** Entries pushed out by newer ones. */
  evictions = 0;
  /** Times that a document could not be opened, written or taken from the disk; what was to be written is kept and tried again. */
  persistenceErrors = 0;
  /** Changes that could not be written for so long that they were given up: they stand in memory alone. */
  givenUp = 0;
  /** Rows of documents that are malformed, or whose value has not the namespace's shape. */
  badRows = 0;
  /** Entries that two replicas consumed while apart, found after a merge. */
  consumedTwice = 0;
  /** Registrations of durable namespaces refused as `full`. */
  refusedFull = 0;
}
