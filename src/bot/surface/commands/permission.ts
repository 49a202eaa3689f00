import { allowList } from '../../allow.js';
import type { CommandEntry } from './list.js';

/** Who is an admin, by the patterns of UNDERSTUDY_ADMINS; with none, nobody. */
export function adminList(patterns: readonly string[] | undefined): (mxid: string) => boolean {
  return patterns === undefined || patterns.length === 0 ? () => false : allowList(patterns);
}

/** Commands that somebody is told of. */
export const visible = <Entry extends CommandEntry>(entries: readonly Entry[], isAdmin: boolean): Entry[] =>
  entries.filter(({ who }) => who !== 'admin' || isAdmin);

/** Why a person may not use a command in a room; undefined where they may. */
export function refusal(
  { who, open }: CommandEntry,
  person: string,
  isAdmin: boolean,
  { owner, archived, prefix }: { owner: string | undefined; archived: boolean; prefix: string },
): string | undefined {
  if (who === 'owner' && !isAdmin && owner !== undefined && owner !== person)
    return `Only ${owner}, whose room this is, may do that here. ${prefix}new makes you a chat of your own.`;
  if (open === true && archived) return 'This chat is archived.';
  return undefined;
}
