import { HomeserverError, type RoomEvent } from '../../src/matrix/homeserver.js';

/** An event with its place in the homeserver's one stream, and who sent it how. */
export interface Stored {
  position: number;
  event: RoomEvent;
  device?: string;
  txn?: string;
  redactedBy?: RoomEvent;
}

export type Membership = 'join' | 'invite' | 'leave' | 'ban' | 'none';

/** What redaction leaves of the content, by type (room version 11, reduced to what is used here). */
const keptByRedaction: Record<string, string[]> = {
  'm.room.member': ['membership'],
  'm.room.create': [],
  'm.room.power_levels': [
    'users',
    'users_default',
    'events',
    'events_default',
    'state_default',
    'redact',
    'invite',
  ],
};

interface PowerLevels {
  users?: Record<string, number>;
  users_default?: number;
  events?: Record<string, number>;
  events_default?: number;
  state_default?: number;
  redact?: number;
  invite?: number;
}

export const forbidden = (why: string) =>
  new HomeserverError('refused', `simulated 403 M_FORBIDDEN (${why})`, {
    status: 403,
    errcode: 'M_FORBIDDEN',
  });
export const notFound = (why: string) =>
  new HomeserverError('refused', `simulated 404 M_NOT_FOUND (${why})`, {
    status: 404,
    errcode: 'M_NOT_FOUND',
  });

/** One room: a linear timeline and the state that follows from it. */
export class SimulatedRoom {
  readonly timeline: Stored[] = [];
  readonly #state = new Map<string, Stored>();
  /** Users who called forget; the room is gone from their view. */
  readonly forgotten = new Set<string>();

  constructor(readonly id: string) {}

  append(stored: Stored): void {
    const { state_key, type } = stored.event;
    if (state_key !== undefined) {
      const key = stateKey(type, state_key);
      const replaced = this.#state.get(key);
      if (replaced)
        stored.event.unsigned = {
          ...stored.event.unsigned,
          replaces_state: replaced.event.event_id,
          prev_content: replaced.event.content,
          prev_sender: replaced.event.sender,
        };
      this.#state.set(key, stored);
    }
    this.timeline.push(stored);
  }

  redact(target: string, by: RoomEvent): void {
    const stored = this.find(target);
    if (!stored || stored.redactedBy) return;
    const kept = keptByRedaction[stored.event.type] ?? [];
    stored.event.content = Object.fromEntries(kept.map((key) => [key, stored.event.content[key]]));
    stored.redactedBy = by;
  }

  find(eventId: string): Stored | undefined {
    return this.timeline.find(({ event }) => event.event_id === eventId);
  }

  /** Events after `from` up to `to`, oldest first, as far as `user` may see them. */
  between(user: string, from: number, to = Infinity): Stored[] {
    const end = Math.min(to, this.visibleTo(user));
    return this.timeline.filter(({ position }) => position > from && position <= end);
  }

  /** Members see everything (history is shared), who left sees up to the leaving. Throws 403 for others. */
  visibleTo(user: string): number {
    const membership = this.membership(user);
    if (membership === 'join') return Infinity;
    const left = this.#state.get(stateKey('m.room.member', user));
    const wasIn = this.timeline.some(
      ({ event }) =>
        event.type === 'm.room.member' && event.state_key === user && event.content['membership'] === 'join',
    );
    if (membership === 'leave' && left && wasIn && !this.forgotten.has(user)) return left.position;
    throw forbidden(`${user} is not in ${this.id}`);
  }

  membership(user: string): Membership {
    const event = this.#state.get(stateKey('m.room.member', user))?.event;
    return (event?.content['membership'] as Membership | undefined) ?? 'none';
  }

  stateEvent(type: string, key: string): Stored | undefined {
    return this.#state.get(stateKey(type, key));
  }

  /** The state before position `before`: all of it, or what changed in it after `since`. */
  stateBefore(before: number, since = 0): Stored[] {
    const then = new Map<string, Stored>();
    for (const stored of this.timeline) {
      const { type, state_key } = stored.event;
      if (stored.position >= before || state_key === undefined) continue;
      then.set(stateKey(type, state_key), stored);
    }
    return [...then.values()].filter(({ position }) => position > since);
  }

  /** Throws 403 unless `user` is in the room and powerful enough for this event. */
  authorise(user: string, type: string, state: boolean): void {
    if (this.membership(user) !== 'join') throw forbidden(`${user} is not in ${this.id}`);
    const levels = this.#levels();
    const needed =
      levels.events?.[type] ?? (state ? (levels.state_default ?? 50) : (levels.events_default ?? 0));
    if (this.power(user) < needed) throw forbidden(`${type} needs power ${needed}`);
  }

  /** Like Synapse: throws where that user has marked that event with that key already. */
  mayAnnotate(user: string, content: Record<string, unknown>): void {
    const relation = (of: Record<string, unknown>) => JSON.stringify(of['m.relates_to']);
    const isThere = this.timeline.some(
      ({ event, redactedBy }) =>
        event.type === 'm.reaction' &&
        event.sender === user &&
        redactedBy === undefined &&
        relation(event.content) === relation(content),
    );
    if (!isThere) return;
    throw new HomeserverError('refused', 'simulated 400 M_DUPLICATE_ANNOTATION', {
      status: 400,
      errcode: 'M_DUPLICATE_ANNOTATION',
    });
  }

  power(user: string): number {
    const levels = this.#levels();
    return levels.users?.[user] ?? levels.users_default ?? 0;
  }

  powerFor(act: 'redact' | 'invite'): number {
    return this.#levels()[act] ?? (act === 'redact' ? 50 : 0);
  }

  #levels(): PowerLevels {
    return this.stateEvent('m.room.power_levels', '')?.event.content ?? {};
  }
}

const stateKey = (type: string, key: string) => JSON.stringify([type, key]);
