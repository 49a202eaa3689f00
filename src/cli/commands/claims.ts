import { holdersAnswer } from '../../node/claims/questions.js';
import { askReplica, secondsOf } from '../inspect/claims-holder.js';
import { table } from '../inspect/table.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** `understudy claims`: who holds what at the authority. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const answer = holdersAnswer.parse(await askReplica(invocation, 'claims'));
  if (answer.is !== 'holders') throw new UserError(3, 'the authority on claims does not say what is held');
  const { relay, silentMs, held, consumed, holders } = answer;
  if (options['json'] === true) {
    process.stdout.write(`${JSON.stringify({ version: 1, relay, silentMs, held, consumed, holders })}\n`);
    return 0;
  }
  const rows = holders.map(({ namespace, key, owner, token, leftMs }) => [
    namespace,
    key,
    owner.worker === '' ? owner.replica : `${owner.replica} (${owner.worker})`,
    `${token.term}.${token.counter}`,
    secondsOf(leftMs),
  ]);
  const lines = [
    `${relay}: ${held} held, ${consumed} committed${silentMs > 0 ? `; it decides in ${secondsOf(silentMs)}` : ''}`,
    ...(rows.length > 0
      ? table(['namespace', 'key', 'holder', 'token', 'left'], rows, process.stdout.columns ?? 160)
      : []),
    ...(held > holders.length ? [`and ${held - holders.length} more`] : []),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}
