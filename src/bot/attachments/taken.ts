import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import { LARGEST_ATTACHMENTS, MOST_ATTACHMENTS } from '../../platform/attachments.js';
import { entranceOf } from '../entrance.js';
import { FormsReadBack } from '../forms.js';
import type { Records } from '../records.js';
import { eventsBefore } from '../surface/room-history.js';
import { wasForUs } from '../was-for-us.js';
import { type Media, type MediaMessage, readMedia } from './media.js';
import { WAITS_MS } from './staging.js';
import { faultText, tooLargeText, tooManyText } from './texts.js';

const MOST_EVENTS_BACK = 1000;
/** Our homeserver's clock differs from the sender's by less. */
const SLACK_MS = 3_600_000;

export interface TakenDeps {
  homeserver: Homeserver;
  records: Records;
  self: string;
  isCommand: (event: RoomEvent) => boolean;
  /** A bare number that chose from a list, and was no prompt. */
  isChoice: (event: RoomEvent, room: string, signal: AbortSignal) => Promise<boolean>;
}

/** What goes with a prompt; or why it does not. */
export type Taken = { media: Media[] } | { refused: string };

/**
 * The files that go with a prompt: those that its sender sent after the prompt before it, of half an hour at most, and
 * its own. Of what stands in the timeline and the marks alone, so that every replica, at every attempt, takes the
 * same, and no file goes with two prompts.
 */
export async function takenBy(
  deps: TakenDeps,
  prompt: RoomEvent,
  room: string,
  signal: AbortSignal,
  look: boolean,
): Promise<Taken> {
  const files = look ? await waitingFor(deps, prompt, room, signal) : [];
  const own = readMedia(prompt)?.file;
  if (own !== undefined) files.push(own);
  return withinBounds(files);
}

/** Oldest first, those included that cannot be taken and of which nobody was told. */
async function waitingFor(
  deps: TakenDeps,
  prompt: RoomEvent,
  room: string,
  signal: AbortSignal,
): Promise<MediaMessage['file'][]> {
  const { homeserver, records, self } = deps;
  const oldest = Math.max(prompt.origin_server_ts - WAITS_MS, records.genesis() ?? 0);
  const files: MediaMessage['file'][] = [];
  const forms = new FormsReadBack(room, deps);
  let seen = 0;
  // What was said before we came is not for us: before the invite, or where that is not in sight, the join (PROTOCOL C5).
  let invite: string | undefined;
  let sinceJoin: number | undefined;
  for await (const raw of eventsBefore(homeserver, room, prompt.event_id, signal)) {
    const event = forms.read(raw);
    seen += 1;
    if (event.event_id === invite) return files;
    if (seen > MOST_EVENTS_BACK || isBefore(oldest, event, prompt.sender, self)) break;
    const entrance = entranceOf(event, self);
    if (entrance !== undefined) {
      if (entrance.invite === undefined || invite !== undefined) break;
      [invite, sinceJoin] = [entrance.invite, files.length];
    }
    if (event.sender !== prompt.sender || event.type !== 'm.room.message') continue;
    const ref = { id: event.event_id, room, sender: event.sender, ts: event.origin_server_ts };
    const source = { ...ref, kind: 'message' as const };
    if (records.forgotten(source)) break;
    const isOurs = wasForUs(records, event, room);
    const message = isRedacted(event) ? undefined : readMedia(event);
    if (message !== undefined && (message.caption === undefined || deps.isCommand(event))) {
      // What cannot be taken was said at once, where it was for us.
      const isTold = 'fault' in message.file && isOurs;
      if (!isTold) files.unshift(message.file);
    } else if (isOurs && (await isPrompt(deps, event, room, records.markReason(source), signal))) break;
    else if (message !== undefined) files.unshift(message.file);
  }
  return sinceJoin === undefined ? files : files.slice(files.length - sinceJoin);
}

async function isPrompt(
  deps: TakenDeps,
  event: RoomEvent,
  room: string,
  reason: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { msgtype, body, 'm.relates_to': relation } = event.content;
  // Of a redacted one the mark alone says that there was something.
  if (isRedacted(event)) return reason !== undefined;
  if (typeof body !== 'string' || msgtype === 'm.notice') return false;
  if ((relation as { rel_type?: unknown } | undefined)?.rel_type === 'm.replace') return false;
  return !deps.isCommand(event) && !(await deps.isChoice(event, room, signal));
}

function withinBounds(files: readonly MediaMessage['file'][]): Taken {
  const media: Media[] = [];
  for (const file of files) {
    if ('fault' in file) return { refused: faultText(file.name, file.fault) };
    media.push(file);
  }
  if (media.length > MOST_ATTACHMENTS) return { refused: tooManyText(media.length) };
  const bytes = media.reduce((sum, { size }) => sum + size, 0);
  return bytes > LARGEST_ATTACHMENTS ? { refused: tooLargeText() } : { media };
}

const isRedacted = ({ unsigned }: RoomEvent): boolean => unsigned?.['redacted_because'] !== undefined;

/** A clock is believed of the prompt's sender, whose files these are, and of our homeserver. */
function isBefore(
  oldest: number,
  { sender, origin_server_ts }: RoomEvent,
  person: string,
  self: string,
): boolean {
  if (sender === person) return origin_server_ts < oldest;
  return sender === self && origin_server_ts < oldest - SLACK_MS;
}
