import type { RoomEvent } from '../../matrix/homeserver.js';

/** What in a message itself may say that it is for us. */
export interface Signs {
  /** `m.mentions` names us. */
  mentioned: boolean;
  /** There is no `m.mentions`: the text may name us (MSC3952: where there is one, nothing else mentions). */
  text: string | undefined;
  /** What is said, without what is quoted: it may begin with our name, as people write by hand whom they speak to. */
  said: string;
  /** The event that it really replies to. */
  replyTo: string | undefined;
  /** The root of the thread that it stands in. */
  thread: string | undefined;
}

/** Reads a message's signs. Pure; what is malformed counts as said and names nobody. */
export function signsOf(event: RoomEvent, self: string): Signs {
  const { content } = event;
  const relation = record(content['m.relates_to']);
  const thread = relation?.['rel_type'] === 'm.thread' ? eventId(relation['event_id']) : undefined;
  // In a thread a reply may be there for clients that know no threads only.
  const isFallback = thread !== undefined && relation?.['is_falling_back'] === true;
  const replied = repliedTo(event);
  const isSilent = !Object.hasOwn(content, 'm.mentions');
  const said = spoken(text(content['body']) ?? '', event);
  return {
    mentioned: mentions(event, self),
    text: isSilent ? said : undefined,
    said,
    replyTo: isFallback ? undefined : replied,
    thread,
  };
}

/** `m.mentions` names us. */
export function mentions({ content }: RoomEvent, self: string): boolean {
  const users = record(content['m.mentions'])?.['user_ids'];
  return Array.isArray(users) && users.includes(self);
}

/** Without the lines that old clients quote of what is replied to, and the empty one: those are another's words. */
export function spoken(body: string, event: RoomEvent): string {
  if (repliedTo(event) === undefined || !body.startsWith('> ')) return body;
  const lines = body.split('\n');
  const first = lines.findIndex((line) => !line.startsWith('> '));
  return first < 0 ? '' : lines.slice(first).join('\n').replace(/^\n/, '');
}

const repliedTo = ({ content }: RoomEvent): string | undefined =>
  eventId(record(record(content['m.relates_to'])?.['m.in_reply_to'])?.['event_id']);

const record = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** What a homeserver could be asked for (Matrix spec, event ids). */
const eventId = (value: unknown): string | undefined =>
  typeof value === 'string' && /^\$[\x21-\x7e]{1,254}$/.test(value) ? value : undefined;

const wordBefore = /[\p{L}\p{N}\p{M}_]$/u;
const wordAfter = /^[\p{L}\p{N}\p{M}_]/u;

/** True when `name` stands in `body` as a whole word, in whatever case: no letter, digit or accent of any script goes on
 * from it. A name that ends in no letter, as an emoji does, may stand against anything. */
export function namesAsWord(body: string, name: string): boolean {
  const [said, wanted] = [folded(body), folded(name).trim()];
  if (wanted === '') return false;
  const [opens, closes] = [wordAfter.test(wanted), wordBefore.test(wanted)];
  for (let at = said.indexOf(wanted); at >= 0; at = said.indexOf(wanted, at + 1)) {
    const end = at + wanted.length;
    const isBegun = opens && wordBefore.test(said.slice(Math.max(0, at - 2), at));
    const goesOn = closes && wordAfter.test(said.slice(end, end + 2));
    // An accent that follows makes another letter of the last one, whatever that is.
    if (!isBegun && !goesOn && !/^\p{M}/u.test(said.slice(end, end + 2))) return true;
  }
  return false;
}

/** Of a user id (Matrix spec, user identifiers). */
export const localpartOf = (mxid: string): string => mxid.slice(1, mxid.indexOf(':'));

/** True when the text begins with that name and a colon or comma, in whatever case. */
export function speaksTo(body: string, name: string): boolean {
  const [said, wanted] = [folded(body).trimStart(), folded(name).trim()];
  return wanted !== '' && said.startsWith(wanted) && /^\s?[:,](\s|$)/.test(said.slice(wanted.length));
}

const folded = (value: string): string => value.normalize('NFC').toLowerCase();
