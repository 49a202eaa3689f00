import type { World } from '../simulation/world.js';
import type { TimelineEvent } from '../world/matrix-http.js';

/** The step of an event of the bot; empty where it says none. */
export const stepOf = ({ content }: TimelineEvent): string =>
  (content['dev.understudy.delivery'] as { step?: string } | undefined)?.step ?? '';

/** The stream edits that stand in a room, in the order of its timeline. */
export const streamed = (world: World, room: string): TimelineEvent[] =>
  world.sent(room).filter((event) => stepOf(event).startsWith('stream/'));
