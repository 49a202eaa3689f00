/** WebSocket close codes by which a relay says why it ended one connection (RFC 6455: 4000–4999 are ours). */
export const closeCodes = {
  /** The relay shuts down in good order. */
  draining: 1001,
  /** The frame is larger than the relay allows. */
  'too-big': 1009,
  /** The relay's own storage failed; worth another try. */
  'relay-failed': 1011,
  /** Not a frame of this protocol, or one that is not allowed now. */
  malformed: 4000,
  /** A newer connection of the same replica, with the same token, took this one's place. */
  replaced: 4001,
  /** The relay serves another cluster. */
  'wrong-cluster': 4002,
  /** A connection with another token speaks for this replica. */
  taken: 4003,
  /** No `hello` in time. */
  silent: 4004,
  /** More documents announced than delivered. */
  'too-many-documents': 4005,
  /** A frame in another's name. */
  impersonation: 4006,
  /** A viewer sent changes, or a message that could carry some. */
  'read-only': 4007,
  /** The token was taken off the relay's list, or has expired. */
  revoked: 4008,
  /** As many replicas as the relay takes are connected. */
  'too-many-replicas': 4009,
} as const;

export type CloseReason = keyof typeof closeCodes;

const reasons = new Map<number, CloseReason>(
  Object.entries(closeCodes).map(([reason, code]) => [code, reason as CloseReason]),
);

/** The relay's reason, or the bare code of a connection that ended otherwise (1006: cut). */
export function closeReason(code: number): string {
  return reasons.get(code) ?? `closed-${code}`;
}
