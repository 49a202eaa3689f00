import { type Homeserver, HomeserverError, type RoomEvent } from '../matrix/homeserver.js';
import type { Inbox } from '../matrix/inbox.js';
import { isRefused } from '../matrix/refusal.js';
import type { Timeline } from './attendant.js';
import { olderThan } from './reading-back.js';
import type { Receiver } from './receiver.js';
import type { Source } from './source.js';

/** Before the first event of a source that is no event itself, so much is read too (clocks of servers differ). */
const SLACK_MS = 3_600_000;
const MOST_EVENTS = 100_000;

/** Reads rooms for the attendant: up to now, and from a source on (PROTOCOL D5). */
export class RoomReader implements Timeline {
  constructor(
    private readonly homeserver: Homeserver,
    private readonly inbox: Inbox,
    private readonly receiver: Receiver,
    private readonly self: string,
  ) {}

  async catchUp(room: string, signal: AbortSignal): Promise<void> {
    // While it is owed no /sync tells anything of it.
    if (!this.isBehind(room)) await this.inbox.catchUp(signal);
    if (this.isBehind(room)) throw new HomeserverError('unreachable', `${room} cannot be read up to now`);
  }

  isBehind(room: string): boolean {
    return this.inbox.owes(room);
  }

  async readSource(source: Source, signal: AbortSignal): Promise<void> {
    this.receiver.rebuild(source, await this.eventsSince(source, signal));
  }

  async readOriginal(source: Source, signal: AbortSignal): Promise<void> {
    const { target, ref } = source;
    if (target !== undefined) source.original ??= await this.homeserver.event(ref.room, target, signal);
  }

  async redacted(room: string, event: string): Promise<boolean> {
    const found = await this.homeserver.event(room, event);
    return found.unsigned?.['redacted_because'] !== undefined;
  }

  private async eventsSince(source: Source, signal: AbortSignal): Promise<RoomEvent[]> {
    const { id, room, kind } = source.ref;
    if (kind === 'message' || kind === 'reaction') return this.inbox.readFrom(room, id, signal);
    if (kind === 'invite') {
      try {
        return await this.inbox.readFrom(room, id, signal);
      } catch (error) {
        // An invite from before we could read the room: what we may see of the room says the same.
        if (!isRefused(error)) throw error;
      }
    }
    return this.readBack(source, signal);
  }

  /** A greeting is looked for in the whole room, which the bot made; a notice since a while before its cause. */
  private async readBack(source: Source, signal: AbortSignal): Promise<RoomEvent[]> {
    const from = this.inbox.position();
    if (from === undefined) throw new HomeserverError('unreachable', 'nothing was read yet');
    const oldest = source.ref.kind === 'greeting' ? 0 : source.ref.ts - SLACK_MS;
    const until = olderThan(this.self, oldest);
    const read = await this.inbox.readBack(source.ref.room, { from, until, limit: MOST_EVENTS }, signal);
    return read.events;
  }
}
