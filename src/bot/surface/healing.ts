import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import type { ActorReader } from '../actors/reader.js';
import type { Recorder } from '../actors/recorder.js';
import { ifShown } from '../failures.js';
import type { Outbox } from '../outbox.js';
import { unlessAborted } from '../../time/unless-aborted.js';
import { type Records, roomKey, userKey } from '../records.js';
import type { DerivedState } from './derived.js';
import { LEDGER_TYPE, type LedgerEntry, onboardingSource, spaceSource } from './ledger.js';
import type { Rooms } from './rooms.js';
import { standingOf } from './space-standing.js';
import type { LostSpace, Spaces } from './spaces.js';

export interface HealingDeps {
  homeserver: Pick<Homeserver, 'roomState' | 'joinedRooms'>;
  outbox: Pick<Outbox, 'event'>;
  records: Records;
  recorder: Pick<Recorder, 'onboarded'>;
  reader: Pick<ActorReader, 'spaceOf'>;
  spaces: Pick<Spaces, 'find'>;
  rooms: Rooms;
  derived: () => Pick<DerivedState, 'place'>;
  log: Log;
  self: string;
}

/** A person's space that stands, and its state. */
export interface Home {
  space: string;
  state: RoomEvent[];
}

/**
 * A person's space, looked at when it is needed. One that the bot is not in any more, or that is gone, is made anew;
 * one that was upgraded is followed, where the bot may (PROTOCOL P4). Its ledger goes along first, then the records
 * name the new space, then chats and person are put in: each step reads what stands, so that whoever comes next, at
 * any boundary or at the same time, ends where the first would have.
 */
export class Healing {
  private readonly underWay = new Map<string, Promise<Home>>();

  constructor(private readonly deps: HealingDeps) {}

  /** The person's space, with all their open chats in it. Whoever waits no more leaves it to who does. */
  home(person: string, signal: AbortSignal): Promise<Home> {
    let looking = this.underWay.get(person);
    if (looking === undefined) {
      looking = this.look(person).finally(() => this.underWay.delete(person));
      this.underWay.set(person, looking);
    }
    return unlessAborted(looking, signal);
  }

  private async look(person: string): Promise<Home> {
    const { homeserver, records, reader, log, self } = this.deps;
    const known = records.user(person)?.space_id ?? reader.spaceOf(person);
    if (known === undefined) return this.make(person);
    const standing = await standingOf(homeserver, known, self);
    if (standing.is === 'stands') {
      await this.complete(person, known, standing.state);
      return { space: known, state: standing.state };
    }
    log.warn(
      { person, space: known, standing: standing.is },
      'the space of a person does not stand any more',
    );
    const heir = standing.is === 'replaced' ? standing.by : undefined;
    return this.anew(person, { room: known, heir });
  }

  private async make(person: string): Promise<Home> {
    const { homeserver, records, recorder, spaces } = this.deps;
    const space = await spaces.find(person);
    const cause = { id: onboardingSource(person) };
    await records.write(recorder.onboarded(person, 'SPACE', space, cause), cause);
    return { space, state: await homeserver.roomState(space) };
  }

  private async anew(person: string, lost: LostSpace): Promise<Home> {
    const { homeserver, records, recorder, spaces, log } = this.deps;
    const space = await spaces.find(person, lost);
    await this.carry(person, lost.room, space);
    const cause = { id: `${spaceSource(person)}/${space}` };
    const user = { kind: 'user', key: userKey(person), fields: { space_id: space } } as const;
    await records.write([...recorder.onboarded(person, 'SPACE', space, cause), user], cause);
    const state = await homeserver.roomState(space);
    await this.complete(person, space, state);
    log.info({ person, lost: lost.room, space }, 'a person has another space');
    return { space, state };
  }

  /**
   * The ledger of the new space says what was said in the old one, as far as that can be read, and what the records
   * know. Numbers that were given and stand in neither are bounded by the rooms that were made: some may be left out,
   * none is given again.
   */
  private async carry(person: string, lost: string, space: string): Promise<void> {
    const { records, rooms, outbox } = this.deps;
    const old = lost === space ? undefined : await ifShown(() => rooms.ledger(lost));
    const { entries } = await rooms.ledger(space);
    const known = new Map<string, LedgerEntry>();
    for (const [source, entry] of old?.entries ?? []) {
      const number = old?.number(source);
      known.set(source, { ...entry, ...(number !== undefined && { number }) });
    }
    for (const source of records.chatSources(person)) {
      const chat = records.chatOf(person, source);
      if (chat !== undefined) known.set(source, { source, ...chat });
    }
    const place = (entry: LedgerEntry) => ('room' in entry ? (entry.number ?? 0) : 0);
    for (const entry of [...known.values()].toSorted((a, b) => place(a) - place(b))) {
      if (entries.has(entry.source)) continue;
      await outbox.event(space, entry.source, 'ledger', LEDGER_TYPE, entry);
    }
    const made = rooms.allMade().filter((one) => one.person === person && one.source !== spaceSource(person));
    const count = new Set([...made, ...records.chatsOf(person)].map(({ room }) => room)).size;
    const highest = Math.max(old?.highest ?? 1, records.highestNumber(person), count);
    await rooms.raise(person, space, await rooms.ledger(space), highest);
  }

  /** The person is invited, and every open chat is a child: for whoever stopped between. */
  private async complete(person: string, space: string, state: RoomEvent[]): Promise<void> {
    const { records, rooms } = this.deps;
    // Before, the steps of the way in do it.
    if (records.user(person)?.space_id !== space) return;
    await rooms.inviteOnce(space, person, state);
    const open = records
      .chatsOf(person)
      .map(({ room, archived }) => ({ room, archived, record: records.room(room) }))
      .filter(({ archived, record }) => !archived && record?.room_type === 'chat');
    const moved = open.filter(({ record }) => record?.space_id !== space);
    if (moved.length > 0) {
      const writes = moved.map(
        ({ room }) => ({ kind: 'room', key: roomKey(room), fields: { space_id: space } }) as const,
      );
      await records.write(writes, { id: `${spaceSource(person)}/${space}` });
    }
    for (const { room } of open) await this.deps.derived().place(room, { space, state });
  }
}
