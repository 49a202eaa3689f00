/** State that is read of a /sync answer's state section, where our own user wrote it (PROTOCOL P3, C5). */
export const SYNC_STATE_TYPES = [
  'm.room.create',
  'm.room.member',
  'm.room.name',
  'm.room.tombstone',
  'm.space.child',
] as const;

/** Most events of one room in a /sync answer; the gap before them is read page by page. */
export const TIMELINE_LIMIT = 100;

/**
 * What the bot reads of a /sync answer, and nothing else. Whoever may write state of a room may write any amount of it,
 * under any type and key: so of the state section nothing is asked for that others wrote, or the answer could be made
 * larger than any bound, for every replica and for ever. (Synapse adds one member for each sender in the timeline.)
 * What others write comes in the timeline and its gaps. The nonce stands as a sender that cannot exist (RFC 2606
 * `.invalid`).
 */
export function syncFilter(self: string, nonce: string): object {
  const none = { not_types: ['*'] };
  return {
    presence: none,
    account_data: none,
    room: {
      account_data: none,
      ephemeral: none,
      state: { lazy_load_members: true, types: SYNC_STATE_TYPES, senders: [self] },
      timeline: { limit: TIMELINE_LIMIT, not_senders: [`@${nonce}:nonce.invalid`] },
    },
  };
}
