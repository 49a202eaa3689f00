import { type Homeserver, HomeserverError, type RoomEvent } from '../../matrix/homeserver.js';
import { ifShown } from '../failures.js';
import { isTombstone, type Replacement, replacementOf } from './tombstone.js';

/** Where a space stands, as the homeserver shows it now. */
export type SpaceStanding =
  | { is: 'stands'; state: RoomEvent[] }
  /** The bot is not in it: it left, was taken out, or the room is gone. */
  | { is: 'lost' }
  /** It was upgraded; without `by`, its tombstone names no room. */
  | { is: 'replaced'; by: Replacement | undefined };

/**
 * Looks at a space that was the bot's. Lost is what two answers agree on, because a new space is made for it.
 *
 * @throws {HomeserverError} also where the two answers differ: to be asked again.
 */
export async function standingOf(
  homeserver: Pick<Homeserver, 'roomState' | 'joinedRooms'>,
  space: string,
  self: string,
): Promise<SpaceStanding> {
  const state = await ifShown(() => homeserver.roomState(space));
  if (state === undefined || !isIn(state, self)) {
    if (!(await homeserver.joinedRooms()).includes(space)) return { is: 'lost' };
    throw new HomeserverError('unreachable', `the homeserver does not agree on the space ${space}`);
  }
  const tombstone = state.find(isTombstone);
  if (tombstone === undefined) return { is: 'stands', state };
  return { is: 'replaced', by: replacementOf(tombstone, self) };
}

/** What a member that left may still read is the state at its leaving, which says so. */
export const isIn = (state: readonly RoomEvent[], user: string): boolean =>
  state.some(
    ({ type, state_key, content }) =>
      type === 'm.room.member' && state_key === user && content['membership'] === 'join',
  );
