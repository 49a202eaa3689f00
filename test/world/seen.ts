import type { TimelineEvent } from './matrix-http.js';

/** A message as it stands on a person's screen. */
export interface SeenMessage {
  eventId: string;
  sender: string;
  /** With the last edit applied. */
  body: string;
  inReplyTo?: string;
  edits: number;
}

const MESSAGES = new Set(['m.room.message', 'm.room.encrypted', 'm.sticker']);

/**
 * What a client shows of a room's history: messages in timeline order with their last edit applied, redacted ones
 * gone. An edit counts when it is of the same sender and type (client-server API, "Validity of replacement events");
 * of several the one with the highest origin_server_ts holds, then the highest event id.
 */
export function seenMessages(history: TimelineEvent[]): SeenMessage[] {
  const edits = new Map<string, TimelineEvent[]>();
  const redacted = new Set<string>();
  for (const event of history) {
    const redacts = event.redacts ?? event.content.redacts;
    if (event.type === 'm.room.redaction' && redacts) redacted.add(redacts);
    if (event.unsigned?.['redacted_because']) redacted.add(event.event_id);
    const relation = event.content['m.relates_to'];
    if (relation?.rel_type !== 'm.replace' || !relation.event_id) continue;
    edits.set(relation.event_id, [...(edits.get(relation.event_id) ?? []), event]);
  }
  return history
    .filter(
      (event) => MESSAGES.has(event.type) && event.state_key === undefined && !redacted.has(event.event_id),
    )
    .filter((event) => event.content['m.relates_to']?.rel_type !== 'm.replace')
    .map((event) => {
      const valid = (edits.get(event.event_id) ?? [])
        .filter((edit) => edit.sender === event.sender && edit.type === event.type)
        .filter((edit) => edit.content['m.new_content'] && !redacted.has(edit.event_id))
        .toSorted(byAge);
      const shown = valid.at(-1)?.content['m.new_content'] ?? event.content;
      const inReplyTo = event.content['m.relates_to']?.['m.in_reply_to']?.event_id;
      return {
        eventId: event.event_id,
        sender: event.sender,
        body: typeof shown.body === 'string' ? shown.body : `(${event.type} without a body)`,
        edits: valid.length,
        ...(inReplyTo !== undefined && { inReplyTo }),
      };
    });
}

const byAge = (a: TimelineEvent, b: TimelineEvent) =>
  a.origin_server_ts - b.origin_server_ts || (a.event_id < b.event_id ? -1 : 1);
