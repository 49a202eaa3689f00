import { createHmac } from 'node:crypto';
import { type Homeserver, HomeserverError, type RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { MADE_FOR_KEY } from '../intake.js';
import { onboardingSource } from './ledger.js';

export interface SpacesDeps {
  homeserver: Homeserver;
  clock: Clock;
  log: Log;
  /** Our own mxid. */
  self: string;
  clusterId: string;
}

/** So long an alias that leads to a room we cannot read may still be a creation under way: Synapse takes the
 * alias before it writes the room's events. */
const CREATION_MS = 30_000;
const MOST_SUFFIXES = 20;

/**
 * A person's space: the one room that is found by an alias, so that it is found again after a total loss, and
 * made once by any number of replicas (PROTOCOL P4).
 */
export class Spaces {
  private readonly unreadableSince = new Map<string, number>();

  constructor(private readonly deps: SpacesDeps) {}

  async find(person: string): Promise<string> {
    for (let suffix = 1; suffix <= MOST_SUFFIXES; suffix += 1) {
      const local = this.alias(person, suffix);
      const room = await this.findOrCreate(person, local);
      const standing = await this.standing(person, room);
      if (standing === 'ours') return room;
      this.deps.log.warn(
        { alias: local, room },
        "the alias of a person's space leads to a room that is not ours",
      );
    }
    throw new HomeserverError('refused', `no alias is left for the space of ${person}`, { status: 409 });
  }

  /** Nobody who does not know the cluster id can guess the alias and take it first. */
  private alias(person: string, suffix: number): string {
    const name = createHmac('sha256', this.deps.clusterId)
      .update(JSON.stringify(['space', person]))
      .digest('hex')
      .slice(0, 32);
    return suffix === 1 ? `understudy_${name}` : `understudy_${name}_${suffix}`;
  }

  private async findOrCreate(person: string, local: string): Promise<string> {
    const { homeserver, self } = this.deps;
    const alias = `#${local}:${serverOf(self)}`;
    const known = await homeserver.resolveAlias(alias);
    if (known !== undefined) return known;
    try {
      return await homeserver.createRoom({
        room_alias_name: local,
        name: 'My agents',
        preset: 'private_chat',
        visibility: 'private',
        creation_content: { type: 'm.space', [MADE_FOR_KEY]: { source: spaceSource(person), person } },
        power_level_content_override: { events_default: 100, state_default: 100, invite: 100 },
      });
    } catch (error) {
      if (!taken(error)) throw error;
      const winner = await homeserver.resolveAlias(alias);
      if (winner !== undefined) return winner;
      throw new HomeserverError('unreachable', `the alias ${alias} is taken and leads nowhere yet`);
    }
  }

  private async standing(person: string, room: string): Promise<'ours' | 'foreign'> {
    const { homeserver, clock, self } = this.deps;
    let state: RoomEvent[];
    try {
      state = await homeserver.roomState(room);
    } catch (error) {
      if (!(error instanceof HomeserverError) || error.code !== 'refused') throw error;
      state = [];
    }
    const create = state.find((event) => event.type === 'm.room.create');
    if (create === undefined) {
      const since = this.unreadableSince.get(room) ?? clock.monotonic();
      this.unreadableSince.set(room, since);
      if (clock.monotonic() - since > CREATION_MS) return 'foreign';
      throw new HomeserverError('unreachable', `the space ${room} cannot be read yet`);
    }
    const made = create.content[MADE_FOR_KEY] as { person?: unknown } | undefined;
    return create.sender === self && made?.person === person ? 'ours' : 'foreign';
  }
}

/** Names the space's own creation; no ledger entry is ever made for it. */
export const spaceSource = (person: string) => `${onboardingSource(person)}/space`;

export const serverOf = (id: string) => id.slice(id.indexOf(':') + 1);

/** 400 M_ROOM_IN_USE one after another, 409 when two creations meet. */
function taken(error: unknown): boolean {
  if (!(error instanceof HomeserverError) || error.code !== 'refused') return false;
  return error.detail.errcode === 'M_ROOM_IN_USE' || error.detail.status === 409;
}
