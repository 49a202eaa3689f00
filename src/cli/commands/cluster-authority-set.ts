import { authoritySetAnswer } from '../../node/claims/questions.js';
import { askReplica, secondsOf } from '../inspect/claims-holder.js';
import type { Invocation } from '../process.js';

/** `understudy cluster authority set RELAY`: from now on that relay decides on claims. */
export async function run(
  invocation: Invocation,
  options: Record<string, unknown>,
  relay: string = '',
): Promise<number> {
  const params = { relay, give_up_old: options['giveUpOld'] === true };
  const done = authoritySetAnswer.parse(await askReplica(invocation, 'authority-set', params));
  const { ballot, silentMs, stored } = done;
  if (options['json'] === true) {
    process.stdout.write(`${JSON.stringify({ version: 1, ...done })}\n`);
    return 0;
  }
  const from =
    silentMs > 0 ? `in ${secondsOf(silentMs)}, when all leases that it may not know of are over` : 'now';
  process.stdout.write(`${ballot.relay} decides on claims from term ${ballot.term} on, ${from}\n`);
  if (!stored) {
    process.stderr.write('no relay has stored it yet: other replicas hear of it when one has\n');
  }
  return 0;
}
