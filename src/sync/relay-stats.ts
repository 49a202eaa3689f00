/** What a relay counts. `closed*` and `refused*` are connections, the rest frames unless the name says so. */
export const relayCounts = [
  'accepted',
  'refusedToken',
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
] as const;

export type RelayCount = (typeof relayCounts)[number];

/** Counts since the start, and the present number of connections, replicas, documents. */
export interface RelayStats extends Record<RelayCount, number> {
  connections: number;
  replicas: number;
  documents: number;
  /** Documents announced of which nothing has arrived yet. */
  awaitedDocuments: number;
}
