import type { ActorReader } from '../../actors/reader.js';
import type { RunUnderWay } from '../run-under-way.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

/** `!yes` and `!no` never go to the agent (PROTOCOL P5); nothing that they could decide is asked in rooms so far. */
export function pendingCommand(deps: { underWay: RunUnderWay; reader: ActorReader; prefix: string }): Run {
  return async ({ room, cause, signal }) => {
    const ref = await deps.underWay.before(room, cause.id, signal);
    if (ref === undefined || !deps.reader.run({ id: ref.id, ref }).asks) return notice('Nothing is pending.');
    return notice(
      `The agent waits for an approval, which cannot be given here: give it at the platform, or end it with ${deps.prefix}cancel.`,
    );
  };
}
