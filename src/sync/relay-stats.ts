/** What a relay counts. `closed*` and `refused*` are connections, the rest frames unless the name says so. */
export const relayCounts = [
  'accepted',
  'refusedToken',
  'refusedExpired',
  'refusedRole',
  'refusedCooling',
  'refusedVersion',
  'refusedOrigin',
  'refusedFull',
  'refusedCluster',
  'closedMalformed',
  'closedTooBig',
  'closedProtocolError',
  'closedImpersonation',
  'closedSilent',
  'closedSlow',
  'closedDead',
  'closedReplaced',
  'closedTaken',
  'closedTooManyDocuments',
  'closedReadOnly',
  'closedRevoked',
  'closedTooManyReplicas',
  'closedTooMuchMemory',
  'closedRelayFailed',
  'framesIn',
  'bytesIn',
  'framesOut',
  'bytesOut',
  'channelForwarded',
  'channelDropped',
  'repoIn',
  'repoOut',
  'headsAnswered',
  'headsRefused',
  'unknownDocuments',
  'undeliveredDocuments',
  'refusedChanges',
  'storageFailures',
  'throttled',
  'httpFailures',
  'documentsLoaded',
  'documentsUnloaded',
] as const;

export type RelayCount = (typeof relayCounts)[number];

/** Counts since the start, and how things stand. */
export interface RelayStats extends Record<RelayCount, number> {
  connections: number;
  replicas: number;
  viewers: number;
  admins: number;
  /** In memory; what was not used for a while is on disk alone. */
  documents: number;
  /** Documents announced of which nothing has arrived yet. */
  awaitedDocuments: number;
  /** Bytes that connections hold: half a frame, frames not yet dealt with, frames that nobody has read. */
  heldBytes: number;
  /** Of these, what waits for the other sides to read it: over all connections, and of the slowest. */
  backlogBytes: number;
  greatestBacklogBytes: number;
}
