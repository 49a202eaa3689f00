import type { AnswerKind } from './answer.js';
import { matrixHtml } from './html.js';
import { DELIVERY_KEY, type DeliveryMark } from './mark.js';

/** What an event's content may take, in bytes of UTF-8 JSON (PROTOCOL D3): a homeserver takes 65,536 with all that it
 * adds. */
export const EVENT_BYTES = 60_000;

interface Message {
  kind: AnswerKind;
  /** Markdown. It is what `body` says, and what hashes are over; its HTML decides nothing. */
  body: string;
  mark: DeliveryMark;
}

/** What a message answers. */
export interface ReplyTo {
  event: string;
  /** The root of the thread that event stands in: the answer stays there. */
  thread?: string;
}

/** A message event that replies to its source (without a fallback in its text: Matrix 1.13 dropped them). */
export function messageContent(message: Message & { replyTo?: ReplyTo }): Record<string, unknown> {
  return withinBound(message, (html) => ({
    ...textContent(message.kind, message.body, html),
    ...(message.replyTo !== undefined && { 'm.relates_to': relation(message.replyTo) }),
    [DELIVERY_KEY]: message.mark,
  }));
}

/** An edit of `target`: `m.replace` with the whole new content (Matrix spec, event replacements). The mark stands
 * outside `m.new_content`, so that it stays in clear and belongs to this event. */
export function editContent(edit: Message & { target: string }): Record<string, unknown> {
  const { kind, body } = edit;
  return withinBound(edit, (html) => ({
    ...textContent(kind, `* ${body}`, html === undefined ? undefined : `* ${html}`),
    'm.new_content': textContent(kind, body, html),
    'm.relates_to': { rel_type: 'm.replace', event_id: edit.target },
    [DELIVERY_KEY]: edit.mark,
  }));
}

/** Empty mentions, so that a name or `@room` in an answer rings nobody's bell (Matrix 1.7, user and room mentions). */
function textContent(kind: AnswerKind, body: string, html: string | undefined) {
  return {
    msgtype: kind,
    body,
    ...(html !== undefined && { format: 'org.matrix.custom.html', formatted_body: html }),
    'm.mentions': {},
  };
}

/** In a thread, with the reply as the fallback for clients without threads (Matrix spec, threading). */
function relation({ event, thread }: ReplyTo): object {
  const reply = { 'm.in_reply_to': { event_id: event } };
  if (thread === undefined) return reply;
  return { rel_type: 'm.thread', event_id: thread, is_falling_back: true, ...reply };
}

/** With its HTML, or without where the event would be too large with it. */
function withinBound(
  { kind, body }: Pick<Message, 'kind' | 'body'>,
  content: (html: string | undefined) => Record<string, unknown>,
) {
  // A notice is the bot's own words with names that people chose in them: those format nothing.
  const html = kind === 'm.notice' ? undefined : matrixHtml(body);
  const full = content(html);
  if (html === undefined || Buffer.byteLength(JSON.stringify(full)) <= EVENT_BYTES) return full;
  return content(undefined);
}

/** The root of the thread that a message stands in, if it names one. Its content is hostile until looked at. */
export function threadOf(content: Record<string, unknown>): string | undefined {
  const relates = content['m.relates_to'] as { rel_type?: unknown; event_id?: unknown } | null | undefined;
  const root = relates?.rel_type === 'm.thread' ? relates.event_id : undefined;
  return typeof root === 'string' && root.startsWith('$') && Buffer.byteLength(root) <= 255
    ? root
    : undefined;
}
