import type { PlatformClient } from '../../../platform/client.js';
import type { Records } from '../../records.js';
import type { SourceRef } from '../../source.js';
import type { RunUnderWay } from '../run-under-way.js';
import { stepKey } from '../platform-key.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

/** Who asked, whose room it is, and admins. */
export function mayStop(
  deps: { records: Pick<Records, 'room'>; isAdmin: (mxid: string) => boolean },
  person: string,
  { room, sender }: SourceRef,
): boolean {
  return person === sender || person === deps.records.room(room)?.matrix_user_id || deps.isAdmin(person);
}

/**
 * `!cancel`: which run it means is read from the timeline before it (PROTOCOL P5), so that whoever takes it over means
 * the same one, and none that was asked for later. The platform ends the run under its own key, and with it the
 * stream on whichever replica follows it.
 */
export function cancelCommand(deps: {
  records: Records;
  platform: PlatformClient;
  underWay: RunUnderWay;
  isAdmin: (mxid: string) => boolean;
}): Run {
  return async ({ room, person, cause, signal, fresh }) => {
    const target = await deps.underWay.before(room, cause.id, signal);
    if (target === undefined) return notice('Nothing is under way here.');
    if (!mayStop(deps, person, target)) return notice(`Only ${target.sender}, who asked, may cancel that.`);
    fresh();
    await deps.platform.cancel(stepKey(target.id, 'send'), signal);
    return notice('Asked the agent to stop.');
  };
}
