import type { AnswerKind } from './answer.js';
import { DELIVERY_KEY, type DeliveryMark } from './mark.js';

/** A message event that replies to its source (without a fallback: Matrix 1.13 dropped them). */
export function messageContent(message: {
  kind: AnswerKind;
  body: string;
  mark: DeliveryMark;
  /** Absent for what answers no event (the greeting). */
  replyTo?: string;
  /** Root of the thread that it goes to. */
  thread?: string;
}): Record<string, unknown> {
  const thread = message.thread !== undefined && { rel_type: 'm.thread', event_id: message.thread };
  return {
    msgtype: message.kind,
    body: message.body,
    ...(message.replyTo !== undefined && {
      'm.relates_to': { ...thread, 'm.in_reply_to': { event_id: message.replyTo } },
    }),
    [DELIVERY_KEY]: message.mark,
  };
}

/** An edit of `target`: `m.replace` with the whole new content (Matrix spec, event replacements). The mark stands
 * outside `m.new_content`, so that it stays in clear and belongs to this event. */
export function editContent(edit: {
  kind: AnswerKind;
  body: string;
  mark: DeliveryMark;
  target: string;
}): Record<string, unknown> {
  return {
    msgtype: edit.kind,
    body: `* ${edit.body}`,
    'm.new_content': { msgtype: edit.kind, body: edit.body },
    'm.relates_to': { rel_type: 'm.replace', event_id: edit.target },
    [DELIVERY_KEY]: edit.mark,
  };
}
