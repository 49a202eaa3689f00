import { threadOf } from '../../delivery/content.js';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import { said } from '../addressing/said.js';
import { openRequests } from '../approvals/request.js';
import { readEdit } from '../edits.js';
import { FormsReadBack } from '../forms.js';
import { meaningOf } from '../intake.js';
import type { Records } from '../records.js';
import type { Source } from '../source.js';
import { wasForUs } from '../was-for-us.js';
import { LONGEST_ARGUMENT } from './commands/arguments.js';
import { ListAskers, type PromptStore, type ShownList } from './list-askers.js';
import { eventsBefore } from './room-history.js';

const HEADS = { room: 'Saved contexts of this room:', thread: 'Saved contexts of this thread:' };
/** So long after its event a list waits for a choice, in time of the timeline (PROTOCOL P5). */
const OPEN_MS = 10 * 60_000;
/** A list must be one message. */
const LARGEST_LIST = 8000;
const MOST_EVENTS_BACK = 1000;

/** The list that a person chooses from; what does not fit can be loaded by its name. */
export function listText(names: readonly string[], prefix: string, thread?: string): string {
  const lines = [thread === undefined ? HEADS.room : HEADS.thread];
  let size = 0;
  for (const [i, name] of names.entries()) {
    const line = `${i + 1}. ${name}`;
    size += Buffer.byteLength(line) + 1;
    if (size > LARGEST_LIST) {
      lines.push(`(and ${names.length - i} more)`);
      break;
    }
    lines.push(line);
  }
  lines.push('', `Reply with a number within 10 minutes, or with ${prefix}load NAME.`);
  return lines.join('\n');
}

/** The names of a list as it was shown, in its order; undefined where the text is no list. */
export function readList(text: string): string[] | undefined {
  const [head, ...lines] = text.split('\n');
  if (head !== HEADS.room && head !== HEADS.thread) return undefined;
  const names: string[] = [];
  for (const line of lines) {
    const name = line.startsWith(`${names.length + 1}. `)
      ? line.slice(`${names.length + 1}. `.length)
      : undefined;
    if (name === undefined) break;
    names.push(name);
  }
  return names.length > 0 && names.every((name) => name.length <= 2 * LONGEST_ARGUMENT) ? names : undefined;
}

/** A bare number, as a choice is written. */
export function bareNumber(text: string): number | undefined {
  const found = /^\s*(\d{1,4})\s*$/.exec(text);
  return found ? Number(found[1]) : undefined;
}

/** A list that waits for a choice: its event, and what it offers. */
export interface OpenList {
  event: string;
  names: string[];
  /** The root of the thread that it stands in. */
  thread: string | undefined;
}

/**
 * The list that a bare number answers: the newest of ours to that person that stands before it in the timeline, for
 * ten minutes, until one was chosen, and not where an agent has asked something since. Read from the room and its
 * attempts alone, so that every replica reads the same (PROTOCOL P5), whatever it remembers of for whom it was made.
 */
export class Choices {
  private readonly askers: ListAskers;

  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      records: Pick<Records, 'attempts' | 'markReason'>;
      self: string;
      prompts: PromptStore;
      known: (id: string) => Source | undefined;
      log: Log;
    },
  ) {
    this.askers = new ListAskers(deps);
  }

  /** Every event that is read, on every replica. */
  read(room: string, event: RoomEvent): void {
    const list = event.sender === this.deps.self ? this.shown(room, event) : undefined;
    if (list !== undefined) this.askers.read(list);
  }

  async openList(number: RoomEvent, room: string, signal: AbortSignal): Promise<OpenList | undefined> {
    const { homeserver, self } = this.deps;
    const chosen: number[] = [];
    const openAt = openRequests(self);
    const forms = new FormsReadBack(room, this.deps);
    let seen = 0;
    for await (const event of eventsBefore(homeserver, room, number.event_id, signal)) {
      seen += 1;
      if (seen > MOST_EVENTS_BACK) return undefined;
      const form = forms.read(event);
      // Of an edit the message counts that it is of, in the form in which it was taken up.
      if (event.sender === number.sender && readEdit(event) === undefined) {
        const earlier = bareNumber(said(bodyOf(form), form, self));
        if (earlier !== undefined && wasForUs(this.deps.records, event, room)) chosen.push(earlier);
      }
      if (event.sender !== self) continue;
      if (openAt(event) !== undefined) return undefined;
      // Our own events carry the clock of the list itself.
      if (number.origin_server_ts - event.origin_server_ts > OPEN_MS) return undefined;
      const names = await this.listTo(number.sender, room, event, signal);
      if (names === undefined) continue;
      if (chosen.some((n) => n >= 1 && n <= names.length)) return undefined;
      return { event: event.event_id, names, thread: await this.threadOf(event, room, signal) };
    }
    return undefined;
  }

  /** An edit stands where what it replaces stands. */
  private async threadOf(event: RoomEvent, room: string, signal: AbortSignal) {
    const edit = readEdit(event);
    const placed = edit === undefined ? event : await this.deps.homeserver.event(room, edit.target, signal);
    return threadOf(placed.content);
  }

  /** One was chosen. */
  consume(room: string, { event }: OpenList): void {
    this.askers.consume(room, event);
  }

  private async listTo(person: string, room: string, event: RoomEvent, signal: AbortSignal) {
    const list = this.shown(room, event);
    if (list === undefined || (await this.askers.of(list, signal)) !== person) return undefined;
    return list.names;
  }

  private shown(room: string, event: RoomEvent): ShownList | undefined {
    const meaning = meaningOf(room, event, this.deps.self);
    if (meaning.is !== 'sent' || meaning.event.redacted || meaning.event.kind !== 'm.notice')
      return undefined;
    const names = readList(meaning.event.body);
    const { source } = meaning;
    return names !== undefined && source.startsWith('$') ? { room, event, source, names } : undefined;
  }
}

const bodyOf = ({ content, type }: RoomEvent): string =>
  type === 'm.room.message' && content['msgtype'] !== 'm.notice' && typeof content['body'] === 'string'
    ? content['body']
    : '';
