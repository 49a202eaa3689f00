import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { type Homeserver, HomeserverError, type RoomEvent } from '../../matrix/homeserver.js';
import { serverOf } from '../../matrix/server-of.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { isRefused } from '../../matrix/refusal.js';
import { ifShown } from '../failures.js';
import { MADE_FOR_KEY } from '../intake.js';
import { LEDGER_TYPE, spaceSource } from './ledger.js';
import { plainRoom } from './plain-room.js';
import { isIn } from './space-standing.js';
import { isTombstone, names, predecessorOf, type Replacement, replacementOf } from './tombstone.js';

export interface SpacesDeps {
  homeserver: Homeserver;
  clock: Clock;
  log: Log;
  /** Our own mxid. */
  self: string;
  clusterId: string;
}

/** So long the newest alias, where it leads to a room we cannot read, may still be a creation under way: Synapse takes
 * the alias before it writes the room's events. */
const CREATION_MS = 30_000;
/** What is remembered of them; of more the time begins anew. */
const MOST_UNREADABLE = 1000;
const MOST_SUFFIXES = 100;
const MOST_UPGRADES = 20;

/** The space that a person's record names, which does not stand any more, and what took its place. */
export interface LostSpace {
  room: string;
  heir?: Replacement | undefined;
}

/**
 * A person's space: the one room that is found by an alias, so that it is found again after a total loss, and
 * made once by any number of replicas (PROTOCOL P4). One that was lost is followed by that of the next suffix; so the
 * newest that stands is the person's, whoever looks.
 */
export class Spaces {
  private readonly unreadableSince = new Map<string, number>();

  constructor(private readonly deps: SpacesDeps) {}

  /**
   * The person's space, made if there is none.
   *
   * @param lost The space of their record, where that is found not to stand.
   */
  async find(person: string, lost?: LostSpace): Promise<string> {
    for (let look = 0; look < MOST_SUFFIXES; look += 1) {
      const named = await this.named(person);
      for (const [older, room] of named.toReversed().entries()) {
        if (older === 0 && room !== undefined && room !== lost?.room && room !== lost?.heir?.room)
          await this.mustBeMade(room);
        const home = room === undefined ? undefined : await this.home(person, room, lost);
        if (home !== undefined) return home;
      }
      const heir = lost?.heir && (await this.home(person, lost.heir.room, lost));
      if (heir !== undefined) return heir;
      if (named.length >= MOST_SUFFIXES) break;
      const made = await this.create(person, named.length + 1);
      if (made !== undefined) return made;
      // Another replica made it in between: what stands there is looked at.
    }
    throw new HomeserverError('refused', `no alias is left for the space of ${person}`, { status: 409 });
  }

  /** The rooms that the person's aliases lead to, by suffix; one alias may have gone with its room. */
  private async named(person: string): Promise<(string | undefined)[]> {
    const rooms: (string | undefined)[] = [];
    for (let gap = 0; gap < 2 && rooms.length < MOST_SUFFIXES;) {
      const room = await this.deps.homeserver.resolveAlias(this.alias(person, rooms.length + 1));
      gap = room === undefined ? gap + 1 : 0;
      rooms.push(room);
    }
    return rooms.slice(0, rooms.findLastIndex((room) => room !== undefined) + 1);
  }

  /** Nobody who does not know the cluster id can guess the alias and take it first. */
  private local(person: string, suffix: number): string {
    const name = createHmac('sha256', this.deps.clusterId)
      .update(JSON.stringify(['space', person]))
      .digest('hex')
      .slice(0, 32);
    return suffix === 1 ? `understudy_${name}` : `understudy_${name}_${suffix}`;
  }

  private alias(person: string, suffix: number): string {
    return `#${this.local(person, suffix)}:${serverOf(this.deps.self)}`;
  }

  /** Undefined where the alias was taken meanwhile. */
  private async create(person: string, suffix: number): Promise<string | undefined> {
    const { homeserver } = this.deps;
    try {
      const made = {
        room_alias_name: this.local(person, suffix),
        name: 'My agents',
        creation_content: { type: 'm.space', [MADE_FOR_KEY]: { source: spaceSource(person), person } },
        power_level_content_override: { events_default: 100, state_default: 100, invite: 100 },
      };
      return await homeserver.createRoom(plainRoom(made));
    } catch (error) {
      if (!taken(error)) throw error;
      const alias = this.alias(person, suffix);
      if ((await homeserver.resolveAlias(alias)) !== undefined) return undefined;
      throw new HomeserverError('unreachable', `the alias ${alias} is taken and leads nowhere yet`);
    }
  }

  /** The room itself, or the last of those that took its place, if it is the person's and the bot is in it. */
  private async home(
    person: string,
    named: string,
    lost: LostSpace | undefined,
  ): Promise<string | undefined> {
    let room = named;
    let via = named === lost?.heir?.room ? lost.heir.via : undefined;
    let before = via === undefined ? undefined : lost?.room;
    for (let upgrades = 0; upgrades < MOST_UPGRADES; upgrades += 1) {
      if (room === lost?.room && lost.heir === undefined) return undefined;
      const state = await this.stateOf(room, via);
      if (state === undefined) return undefined;
      if (!(await this.isOurs(person, room, state, before))) {
        this.deps.log.warn({ person, room }, "what stands for a person's space is not ours");
        return undefined;
      }
      const tombstone = state.find(isTombstone);
      if (tombstone === undefined) return room;
      const next = replacementOf(tombstone, this.deps.self);
      if (next === undefined) return undefined;
      [before, room, via] = [room, next.room, next.via];
    }
    return undefined;
  }

  /** Undefined where the bot is not in the room and, where it took another's place, may not join it. */
  private async stateOf(room: string, via: string[] | undefined): Promise<RoomEvent[] | undefined> {
    const { homeserver, self } = this.deps;
    const read = () => ifShown(() => homeserver.roomState(room));
    const state = await read();
    if (state !== undefined && isIn(state, self)) return state;
    const joined = via && (await ifShown(() => homeserver.join(room, via).then(() => true)));
    return joined === true ? read() : undefined;
  }

  /** Unreadable is not squatted, while its creation may go on. */
  private async mustBeMade(room: string): Promise<void> {
    const { homeserver, clock } = this.deps;
    const state = await ifShown(() => homeserver.roomState(room));
    if (state?.some(({ type }) => type === 'm.room.create') === true) return;
    const since = this.unreadableSince.get(room) ?? clock.monotonic();
    if (this.unreadableSince.size >= MOST_UNREADABLE) this.unreadableSince.clear();
    this.unreadableSince.set(room, since);
    if (clock.monotonic() - since > CREATION_MS) return;
    throw new HomeserverError('unreachable', `the space ${room} cannot be read yet`);
  }

  /** Made by us for the person, or in the place of one that was and says so itself; and ours to write. */
  private async isOurs(
    person: string,
    room: string,
    state: RoomEvent[],
    before: string | undefined,
  ): Promise<boolean> {
    const { self, homeserver } = this.deps;
    if (this.isMadeFor(person, state)) return true;
    const old = predecessorOf(state);
    if (old === undefined || !mayWrite(state, self)) return false;
    if (old === before) return true;
    const earlier = await ifShown(() => homeserver.roomState(old));
    const tombstone = earlier?.find(isTombstone);
    return earlier !== undefined && this.isMadeFor(person, earlier) && names(tombstone?.content, room);
  }

  private isMadeFor(person: string, state: readonly RoomEvent[]): boolean {
    const create = state.find(({ type }) => type === 'm.room.create');
    const made = create?.content[MADE_FOR_KEY] as { person?: unknown } | undefined;
    return create?.sender === this.deps.self && made?.person === person;
  }
}

/** 400 M_ROOM_IN_USE one after another, 409 when two creations meet. */
function taken(error: unknown): boolean {
  if (!isRefused(error)) return false;
  return error.detail.errcode === 'M_ROOM_IN_USE' || error.detail.status === 409;
}

const levels = z.object({
  users: z.record(z.string(), z.number()).optional(),
  users_default: z.number().optional(),
  events: z.record(z.string(), z.number()).optional(),
  events_default: z.number().optional(),
  state_default: z.number().optional(),
});

/** The ledger and the children of a space can be written (Matrix spec, `m.room.power_levels`). */
function mayWrite(state: readonly RoomEvent[], self: string): boolean {
  const create = state.find(({ type }) => type === 'm.room.create');
  const content = state.find(({ type }) => type === 'm.room.power_levels')?.content;
  const parsed = levels.safeParse(content ?? {});
  // From room version 12 on, creators are named in the create event alone, and may do everything.
  const creators = z.array(z.string()).safeParse(create?.content['additional_creators']);
  if (create?.sender === self || (creators.success && creators.data.includes(self))) return true;
  if (!parsed.success) return false;
  const { users, users_default, events, events_default, state_default } = parsed.data;
  const own = users?.[self] ?? users_default ?? 0;
  const ledger = events?.[LEDGER_TYPE] ?? events_default ?? 0;
  const child = events?.['m.space.child'] ?? state_default ?? 50;
  return own >= ledger && own >= child;
}
