import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type ReplyTo, messageContent } from '../../delivery/content.js';
import { type DeliveryMark, readMark } from '../../delivery/mark.js';
import { wellFormed } from '../../delivery/shown-text.js';
import { firstPart } from '../../delivery/split.js';
import type { SentEvent } from '../../delivery/view.js';
import type { RoomEvent } from '../../matrix/homeserver.js';
import type { Decided, Verdict } from '../../platform/client.js';

/** Content key, in clear, of an event that asks a person: who reads it needs no store to know what it asks for. */
export const APPROVAL_KEY = 'dev.understudy.approval';

const named = z.object({
  /** The platform's id of the question within its run. */
  approval: z.string().min(1).max(512),
  /** Whose prompt it was: who may decide. */
  person: z.string().min(1).max(255),
});

/** A question of an agent as it stands in a room. */
export interface ApprovalRequest {
  event: string;
  /** The prompt whose run asks. */
  source: string;
  approval: string;
  person: string;
}

/** What the request offers as reactions, in this order. */
export const OFFERED = [
  { verdict: 'approve', key: '✅', name: 'yes' },
  { verdict: 'deny', key: '❌', name: 'no' },
  { verdict: 'always', key: '♾️', name: 'always' },
] as const satisfies { verdict: Verdict; key: string; name: string }[];

/** Leaves room for what stands around it. */
const QUESTION_BYTES = 8000;

/** Steps of a question, under (source, step): ids of a platform's choosing must not run into them. */
export const requestSteps = {
  request: (approval: string) => `approval/${nameOf(approval)}`,
  offer: (approval: string, name: string) => `approval/${nameOf(approval)}/${name}`,
} as const;

/** The edit that says how a question ended, by the step of the question. */
export const decidedStep = (request: string): string => `${request}/decided`;
export const isRequestStep = (step: string): boolean => /^approval\/[^/]+$/.test(step);

/** Steps of the questions that stand in the room, of what was sent for one source, and that nothing closes. */
export function openSteps(sent: readonly Pick<SentEvent, 'mark' | 'redacted'>[]): string[] {
  const steps = new Set(sent.map(({ mark }) => mark.step));
  const standing = sent.filter(({ mark, redacted }) => !redacted && isRequestStep(mark.step));
  return standing.map(({ mark }) => mark.step).filter((step) => !steps.has(decidedStep(step)));
}

const nameOf = (approval: string): string =>
  /^[\w.-]{1,64}$/.test(approval)
    ? approval
    : `#${createHash('sha256').update(approval).digest('base64url')}`;

/** The event that asks. It replies as the answer does. */
export function requestContent(
  asked: { approval: string; person: string; question: string; prefix: string },
  mark: DeliveryMark,
  replyTo: ReplyTo | undefined,
): Record<string, unknown> {
  const { approval, person, prefix } = asked;
  const how = `✅ yes · ❌ no · ♾️ always in this chat: react, or reply with ${prefix}yes, ${prefix}no, ${prefix}yes always.`;
  const body = `${shownQuestion(asked.question)}\n\n${how}`;
  const content = messageContent({
    kind: 'm.text',
    body,
    mark,
    ...(replyTo !== undefined && { replyTo }),
  });
  return { ...content, [APPROVAL_KEY]: { approval, person } };
}

/** The question in the text of its event. */
export const questionOf = (body: string): string => body.slice(0, Math.max(0, body.lastIndexOf('\n\n')));

/** What the request says when nothing can be decided on it any more. */
export const closedText = (question: string, how: string): string => `${shownQuestion(question)}\n\n${how}`;

const shownQuestion = (question: string): string => firstPart(wellFormed(question), QUESTION_BYTES);

const WORDS = {
  approve: '✅ Approved',
  deny: '❌ Declined',
  always: '♾️ Approved, here always',
} as const satisfies Record<Verdict, string>;

/** `✅ Approved by @alice:example.org.` */
export const decidedText = ({ decision, by }: Pick<Decided, 'decision' | 'by'>): string =>
  `${WORDS[decision]}${by === undefined ? '' : ` by ${by}`}.`;

/** Reads a request; only events of our own user are any (PROTOCOL D8). Undefined also for one that was redacted. */
export function readRequest(event: RoomEvent, self: string): ApprovalRequest | undefined {
  if (event.sender !== self || event.type !== 'm.room.message' || event.state_key !== undefined)
    return undefined;
  const mark = readMark(event.content);
  const asked = named.safeParse(event.content[APPROVAL_KEY]);
  if (mark === undefined || !asked.success || event.unsigned?.['redacted_because'] !== undefined)
    return undefined;
  const { approval, person } = asked.data;
  if (mark.step !== requestSteps.request(approval)) return undefined;
  return { event: event.event_id, source: mark.source, approval, person };
}

/** Reads a room from its newest event back: the requests that nothing read so far closes. */
export function openRequests(self: string): (event: RoomEvent) => ApprovalRequest | undefined {
  const closed = new Set<string>();
  const at = (source: string, step: string) => JSON.stringify([source, step]);
  return (event) => {
    if (event.sender !== self) return undefined;
    const mark = readMark(event.content);
    if (mark?.step.startsWith('approval/') === true) closed.add(at(mark.source, mark.step));
    const request = readRequest(event, self);
    if (request === undefined) return undefined;
    return closed.has(at(request.source, decidedStep(requestSteps.request(request.approval))))
      ? undefined
      : request;
  };
}
