import type { Homeserver } from '../../matrix/homeserver.js';
import { meaningOf } from '../intake.js';
import type { Records } from '../records.js';
import type { Source } from '../source.js';
import type { DirectChats } from './direct-chats.js';
import type { OwnMessages } from './own-messages.js';
import type { RoomAnswers } from './room-answers.js';
import { pillOf } from './said.js';
import { localpartOf, namesAsWord, signsOf, speaksTo } from './signs.js';

/** What is remembered of rooms at most; more is asked again. */
const MOST_ROOMS = 10_000;

/**
 * Whether a message is for us (docs/decisions/0019): always in a chat of the person's own, a direct chat, and a room that is
 * set so; elsewhere where it mentions us, replies to a message of ours, or stands in a thread that we take part in.
 * Judged by documents and homeserver, never by what this process happens to remember or by how many are in the room.
 */
export class Addressing {
  /** A room's create event never changes. */
  private readonly made = new Map<string, boolean>();
  /** How we are called in a room, until our membership there changes. */
  private readonly names = new Map<string, string>();

  constructor(
    private readonly deps: {
      homeserver: Pick<Homeserver, 'event' | 'stateEvent' | 'stateContent'>;
      records: Records;
      answers: RoomAnswers;
      direct: DirectChats;
      own: OwnMessages;
      self: string;
    },
  ) {}

  /** Our membership in a room changed, and our name there perhaps with it. */
  renamed(room: string): void {
    this.names.delete(room);
  }

  /** Rejects with `HomeserverError` while nobody can tell. What costs no request is looked at first. */
  async isForUs(source: Source, signal: AbortSignal): Promise<boolean> {
    const { homeserver, records, answers, direct, own, self } = this.deps;
    const { room, id } = source.ref;
    if (records.room(room)?.room_type === 'chat' || answers.of(room) === 'always') return true;
    if (source.event === undefined) source.learn(await homeserver.event(room, id, signal));
    // An edit of what was answered: for us, as that was.
    if (source.event === undefined || source.target !== undefined) return true;
    // Nothing is left to judge: it is dropped by whoever works on it.
    if (source.event.unsigned?.['redacted_because'] !== undefined) return true;
    const { mentioned, text, said, replyTo, thread } = signsOf(source.prompt ?? source.event, self);
    if (mentioned) return true;
    if (speaksTo(said, self) || said.startsWith(`${self} `)) return true;
    if (replyTo !== undefined && own.knownOurs(room, replyTo)) return true;
    if (thread !== undefined && own.knownThread(room, thread)) return true;
    if (await direct.has(room, signal)) return true;
    if (records.room(room) === undefined && (await this.isMadeByUs(room, signal))) return true;
    // Clients that know m.mentions send one with every message, also with one that names us by hand.
    const mayName = text !== undefined || /^[^\n]{1,255}?[:,]/u.test(said);
    const name = mayName ? await this.nameIn(room, signal) : '';
    if (text !== undefined && namesAsWord(text, name)) return true;
    const isOthers = (pillOf(source.prompt ?? source.event)?.to ?? self) !== self;
    if (!isOthers && (speaksTo(said, name) || speaksTo(said.replace(/^@/, ''), localpartOf(self))))
      return true;
    if (replyTo !== undefined && (await own.isOurs(room, replyTo, signal))) return true;
    return thread !== undefined && (await own.takesPart(room, thread, signal));
  }

  /** A chat of the person's own whose record is not here yet. */
  private async isMadeByUs(room: string, signal: AbortSignal): Promise<boolean> {
    const { homeserver, self } = this.deps;
    const known = this.made.get(room);
    if (known !== undefined) return known;
    const create = await homeserver.stateEvent(room, 'm.room.create', '', signal);
    return keep(this.made, room, create !== undefined && meaningOf(room, create, self).is === 'made');
  }

  /** Our display name in that room, else the localpart of our user id. */
  private async nameIn(room: string, signal: AbortSignal): Promise<string> {
    const { homeserver, self } = this.deps;
    const known = this.names.get(room);
    if (known !== undefined) return known;
    const name = (await homeserver.stateContent(room, 'm.room.member', self, signal))?.['displayname'];
    const called = typeof name === 'string' && name.trim() !== '' ? name : localpartOf(self);
    return keep(this.names, room, called);
  }
}

function keep<V>(map: Map<string, V>, room: string, value: V): V {
  if (map.size >= MOST_ROOMS) map.clear();
  map.set(room, value);
  return value;
}
