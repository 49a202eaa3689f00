import { rendezvousOrder } from '../routing/rendezvous.js';
import type { Channel } from '../sync/channel.js';

/** What the next in rank waits before it takes over from one that is connected and does nothing, milliseconds. */
const PATIENCE_MS = 5_000;

/**
 * Whose turn it is to carry out what an actor owes, where no bot says it: by rendezvous order over the replicas that
 * a relay says are connected. One that is there and does nothing delays, never blocks; apart, each side acts, and
 * effects are idempotent by their ids (PROTOCOL O3, A1).
 *
 * @param patienceMs what each of those before it in the order is waited for.
 * @returns milliseconds until it is this replica's turn.
 */
export function actorTurn(
  channel: Channel,
  shard: number,
  since: number,
  now: number,
  patienceMs = PATIENCE_MS,
): number {
  const self = channel.self.replica;
  const order = rendezvousOrder(shard, [self, ...channel.present().keys()]);
  return Math.max(0, since + order.indexOf(self) * patienceMs - now);
}
