import { authorityAnswer } from '../../node/claims/questions.js';
import { askReplica, secondsOf } from '../inspect/claims-holder.js';
import { table } from '../inspect/table.js';
import type { Invocation } from '../process.js';

/** `understudy cluster authority show`: which relay decides on claims, and which could. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const { authority, relays } = authorityAnswer.parse(await askReplica(invocation, 'authority'));
  if (options['json'] === true) {
    process.stdout.write(`${JSON.stringify({ version: 1, authority: authority ?? null, relays })}\n`);
    return 0;
  }
  const rows = relays.map(({ relay, url, isAuthority, silentMs, held, consumed }) => [
    relay,
    url,
    silentMs === undefined
      ? 'does not answer'
      : isAuthority
        ? silentMs > 0
          ? `decides in ${secondsOf(silentMs)}`
          : 'decides'
        : '-',
    held === undefined ? '-' : String(held),
    consumed === undefined ? '-' : String(consumed),
  ]);
  const isSeen = relays.some(({ isAuthority }) => isAuthority);
  const lines = [
    authority === undefined
      ? 'no relay is named: nobody decides on claims'
      : `${authority.relay} decides on claims, since term ${authority.term}${isSeen ? '' : '; THIS REPLICA IS NOT CONNECTED TO IT'}`,
    ...table(['relay', 'url', 'claims', 'held', 'committed'], rows, process.stdout.columns ?? 160),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}
