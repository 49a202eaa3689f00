import { type Homeserver, HomeserverError, type RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import { MADE_FOR_KEY } from '../intake.js';
import type { Outbox } from '../outbox.js';
import { type Ledger, LEDGER_TYPE, readLedger } from './ledger.js';
import { serverOf } from './spaces.js';

export interface RoomsDeps {
  homeserver: Homeserver;
  outbox: Outbox;
  log: Log;
  self: string;
}

/** A room that stands in the account because some source made it. */
export interface MadeRoom {
  source: string;
  person: string;
  room: string;
  /** The name that was asked for, so that whoever finishes the room gives it that name. */
  name?: string;
}

/**
 * Rooms made for a source: make, then decide (PROTOCOL P3). `createRoom` is not idempotent, so it runs first; a
 * write-once ledger event in the person's space then says which room it is, and whoever made another leaves it.
 */
export class Rooms {
  private readonly made = new Map<string, MadeRoom>();

  constructor(private readonly deps: RoomsDeps) {}

  /** A room of the account whose create event is ours and names a source. */
  noteMade(made: MadeRoom): void {
    this.made.set(made.room, made);
  }

  madeFor(room: string): MadeRoom | undefined {
    return this.made.get(room);
  }

  allMade(): MadeRoom[] {
    return [...this.made.values()];
  }

  async ledger(space: string): Promise<Ledger> {
    const timeline: RoomEvent[] = [];
    let from: string | undefined;
    do {
      const page = await this.deps.homeserver.messages(space, {
        dir: 'f',
        limit: 100,
        ...(from !== undefined && { from }),
      });
      timeline.push(...page.chunk);
      from = page.end === from ? undefined : page.end;
    } while (from !== undefined);
    return readLedger(timeline, this.deps.self);
  }

  /** The room of a source, made if there is none, and its number. */
  async decide(
    source: string,
    person: string,
    space: string,
    name: string | undefined,
    signal: AbortSignal,
  ): Promise<{ room: string; number: number }> {
    let ledger = await this.ledger(space);
    if (!ledger.entries.has(source)) {
      const room =
        this.allMade().find((made) => made.source === source)?.room ??
        (await this.create(source, person, name));
      signal.throwIfAborted();
      await this.deps.outbox.event(space, source, 'ledger', LEDGER_TYPE, { source, room }, signal);
      ledger = await this.ledger(space);
    }
    const entry = ledger.entries.get(source);
    const number = ledger.number(source);
    if (entry === undefined || !('room' in entry) || number === undefined) {
      throw new HomeserverError('unreachable', `the ledger entry of ${source} is not in the space yet`);
    }
    await this.leaveLosers(source, entry.room);
    return { room: entry.room, number };
  }

  /** A room made for a source that another room won is left and forgotten. */
  async leaveLosers(source: string, winner: string): Promise<void> {
    for (const { room, source: madeFor } of this.allMade()) {
      if (madeFor !== source || room === winner) continue;
      this.deps.log.info({ source, room, winner }, 'leaving a room that lost to another for the same source');
      await this.deps.homeserver.leave(room);
      await this.deps.homeserver.forget(room);
      this.made.delete(room);
    }
  }

  /** What follows from the record: name, place in the space, the person invited. Each reads before it writes. */
  async furnish(
    room: string,
    to: { name: string; space: string; order: number; person: string },
  ): Promise<void> {
    const { homeserver, self } = this.deps;
    const state = await homeserver.roomState(room);
    const name = find(state, 'm.room.name', '');
    if (name?.content['name'] !== to.name)
      await homeserver.setState(room, 'm.room.name', '', { name: to.name });
    await this.inviteOnce(room, to.person, state);
    const children = await homeserver.roomState(to.space);
    if (find(children, 'm.space.child', room)?.content['via'] === undefined) {
      const order = String(to.order).padStart(6, '0');
      await homeserver.setState(to.space, 'm.space.child', room, { via: [serverOf(self)], order });
    }
    await this.inviteOnce(to.space, to.person, children);
  }

  /** A person with any membership is not invited again. */
  private async inviteOnce(room: string, person: string, state: RoomEvent[]): Promise<void> {
    if (find(state, 'm.room.member', person) !== undefined) return;
    try {
      await this.deps.homeserver.invite(room, person);
    } catch (error) {
      // 403: a member by now, invited by the other replica in between.
      if (!(error instanceof HomeserverError) || error.detail.status !== 403) throw error;
      this.deps.log.info({ room, error: error.message }, 'the person could not be invited');
    }
  }

  private async create(source: string, person: string, name: string | undefined): Promise<string> {
    const room = await this.deps.homeserver.createRoom({
      preset: 'private_chat',
      visibility: 'private',
      creation_content: { [MADE_FOR_KEY]: { source, person, ...(name !== undefined && { name }) } },
    });
    this.noteMade({ source, person, room, ...(name !== undefined && { name }) });
    return room;
  }
}

function find(state: RoomEvent[], type: string, key: string): RoomEvent | undefined {
  return state.find((event) => event.type === type && event.state_key === key);
}
