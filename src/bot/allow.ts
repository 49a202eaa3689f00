import { matchesId } from './glob.js';

/**
 * Who may talk to the bot: patterns of user ids, as in `@alice:example.org`, `*:example.org`, `@alice:*`. An empty or absent
 * list allows everyone.
 */
export function allowList(patterns: readonly string[] | undefined): (mxid: string) => boolean {
  if (patterns === undefined || patterns.length === 0) return () => true;
  return (mxid) => patterns.some((pattern) => matchesId(pattern, mxid));
}

/** Rooms in which every message is for the bot: patterns of room ids. An absent list names none. */
export function roomList(patterns: readonly string[] | undefined): (room: string) => boolean {
  return (room) => patterns?.some((pattern) => matchesId(pattern, room)) === true;
}
