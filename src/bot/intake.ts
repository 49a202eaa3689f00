import type { SentEvent } from '../delivery/view.js';
import { readMark } from '../delivery/mark.js';
import type { RoomBatch } from '../matrix/batch.js';
import type { RoomEvent } from '../matrix/homeserver.js';
import { readReaction } from './approvals/reaction.js';
import { type Media, readMedia } from './attachments/media.js';
import { type Edit, readEdit } from './edits.js';
import type { SourceRef } from './source.js';

/** What one event means to the bot. */
export type Meaning =
  | { is: 'source'; ref: SourceRef; event: RoomEvent; direct?: boolean }
  /** A file without a word: it waits for its sender's next prompt. */
  | { is: 'media'; ref: SourceRef; media: Media }
  /** A message that takes another's place; `ref` is its own, should it be answered by itself. */
  | { is: 'edit'; edit: Edit; ref: SourceRef; event: RoomEvent }
  | { is: 'sent'; source: string; event: SentEvent }
  | { is: 'redaction'; target: string }
  /** A room of the bot's making that the homeserver encrypted unasked. */
  | { is: 'encryption' }
  /** A room that the bot made for a source (PROTOCOL P3, adopt). */
  | {
      is: 'made';
      source: string;
      room: string;
      person: string;
      name?: string;
      from?: string;
      thread?: string;
    }
  | { is: 'nothing' };

/** Create-event key that names the source a room was made for, and the person it is for. */
export const MADE_FOR_KEY = 'dev.understudy.made_for';

const NOTHING: Meaning = { is: 'nothing' };

/** Reads one timeline or state event. Pure; everything in it is hostile until looked at. */
export function meaningOf(room: string, event: RoomEvent, self: string): Meaning {
  if (event.type === 'm.room.member') return membership(room, event, self);
  if (event.type === 'm.room.create') return creation(room, event, self);
  if (event.type === 'm.room.redaction') {
    const target = event.redacts ?? event.content['redacts'];
    return typeof target === 'string' ? { is: 'redaction', target } : NOTHING;
  }
  if (event.type === 'm.room.encryption' && event.sender === self) return { is: 'encryption' };
  if (event.state_key !== undefined) return NOTHING;
  if (event.sender === self) return ownEvent(event);
  if (event.type === 'm.room.encrypted') {
    return {
      is: 'source',
      event,
      ref: { ...refOf(room, event), id: `encrypted:${room}`, kind: 'encrypted' },
    };
  }
  const ref = refOf(room, event);
  if (event.type === 'm.reaction') {
    return readReaction(event) === undefined
      ? NOTHING
      : { is: 'source', event, ref: { ...ref, kind: 'reaction' } };
  }
  if (event.type !== 'm.room.message') return NOTHING;
  const edit = readEdit(event);
  if (edit !== undefined) return { is: 'edit', edit, event, ref };
  if (!isPrompt(event)) return NOTHING;
  const message = readMedia(event);
  if (message === undefined || message.caption !== undefined || 'fault' in message.file)
    return { is: 'source', event, ref };
  return { is: 'media', ref, media: message.file };
}

/** An `m.room.message` of a person, no notice, no edit, with a text (PROTOCOL, Words). */
function isPrompt({ content }: RoomEvent): boolean {
  const relation = content['m.relates_to'] as { rel_type?: unknown } | undefined;
  return (
    content['msgtype'] !== 'm.notice' &&
    typeof content['body'] === 'string' &&
    relation?.rel_type !== 'm.replace'
  );
}

function refOf(room: string, event: RoomEvent): SourceRef {
  return { id: event.event_id, room, sender: event.sender, ts: event.origin_server_ts, kind: 'message' };
}

/** Our join after an invite: the invite, found through `replaces_state`, is the source of the one line that the
 * inviting room gets; a join that replaces a join is a change of profile (PROTOCOL P4). */
function membership(room: string, event: RoomEvent, self: string): Meaning {
  const unsigned = event.unsigned ?? {};
  const before = unsigned['prev_content'] as { membership?: unknown; is_direct?: unknown } | undefined;
  const invite = unsigned['replaces_state'];
  const inviter = unsigned['prev_sender'];
  if (event.state_key !== self || event.content['membership'] !== 'join') return NOTHING;
  if (typeof invite !== 'string' || before?.membership !== 'invite' || typeof inviter !== 'string')
    return NOTHING;
  if (inviter === self) return NOTHING;
  return {
    is: 'source',
    event,
    direct: before.is_direct === true,
    ref: { id: invite, room, sender: inviter, ts: event.origin_server_ts, kind: 'invite' },
  };
}

function creation(room: string, event: RoomEvent, self: string): Meaning {
  const made = event.content[MADE_FOR_KEY] as
    { source?: unknown; person?: unknown; name?: unknown; from?: unknown; thread?: unknown } | undefined;
  if (event.sender !== self || typeof made?.source !== 'string' || typeof made.person !== 'string')
    return NOTHING;
  const { source, person, name, from, thread } = made;
  return {
    is: 'made',
    source,
    person,
    room,
    ...(typeof name === 'string' && { name }),
    ...(typeof from === 'string' && { from }),
    ...(typeof thread === 'string' && { thread }),
  };
}

function ownEvent(event: RoomEvent): Meaning {
  const mark = readMark(event.content);
  if (mark === undefined) return NOTHING;
  const edited = event.content['m.new_content'] as Record<string, unknown> | undefined;
  const shown = edited ?? event.content;
  return {
    is: 'sent',
    source: mark.source,
    event: {
      id: event.event_id,
      mark,
      body: typeof shown['body'] === 'string' ? shown['body'] : '',
      kind: shown['msgtype'] === 'm.notice' ? 'm.notice' : 'm.text',
      redacted: event.unsigned?.['redacted_because'] !== undefined,
    },
  };
}

/** Every event of a room's batch, state first, in the order in which they are to be taken. */
export const eventsOf = (room: Pick<RoomBatch, 'state' | 'events'>): RoomEvent[] => [
  ...room.state,
  ...room.events,
];
