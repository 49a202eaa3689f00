import { rendezvousOrder } from './rendezvous.js';

/** What one replica knows of another, from its heartbeats and the relays. */
export interface PeerState {
  /** Some relay in reach says that it is connected. */
  connected: boolean;
  /** Monotonic ms of the last heartbeat; undefined: none yet. */
  lastBeat: number | undefined;
  /** Monotonic ms since when it is known to be connected. */
  since: number;
  /** Its last heartbeat said that it may own (PROTOCOL O1). */
  candidate: boolean;
  /** Sources that it says it has begun, and is at work on. */
  begun: ReadonlySet<string>;
}

export interface Situation {
  self: string;
  /** Registered in the cluster document and not retired; contains `self`. */
  members: readonly string[];
  peers: ReadonlyMap<string, PeerState>;
  /** A relay is in reach. With none, nobody counts as gone (PROTOCOL O3). */
  relay: boolean;
  /** Monotonic ms. */
  now: number;
  leaseMs: number;
  patienceMs: number;
}

export interface Waiting {
  source: string;
  shard: number;
  /** Monotonic ms since when this replica knows of it. */
  seenAt: number;
  /** Monotonic ms of the last progress beat of another replica for it; undefined: none. */
  lastProgress: number | undefined;
}

/**
 * Whose turn it is to act on an unsettled source: ours now, or ours after `waitMs` unless a beat comes.
 *
 * - O2: what a living replica has begun stays with it while its beats arrive.
 * - O3: rank = rendezvous order over the members; who is announced gone, silent for a lease, or says that it is
 *   no candidate is skipped, and with no relay nobody is. Rank r acts r × patience after the last sign of progress.
 *
 * A wrong guess costs work, never a second answer.
 */
export function turn(situation: Situation, waiting: Waiting): { rank: number; waitMs: number } {
  const order = rendezvousOrder(waiting.shard, situation.members);
  const rank = order
    .slice(0, order.indexOf(situation.self))
    .filter((member) => !skipped(situation, member)).length;
  const lastProgress = waiting.lastProgress;
  const since = Math.max(waiting.seenAt, lastProgress ?? 0);
  const ordinary = since + rank * situation.patienceMs;
  const beginner = beginnerOf(situation, waiting.source);
  const due =
    beginner === undefined ? ordinary : Math.max(ordinary, (lastProgress ?? since) + situation.patienceMs);
  return { rank, waitMs: Math.max(0, due - situation.now) };
}

function beginnerOf(situation: Situation, source: string): string | undefined {
  for (const [replica, peer] of situation.peers) {
    if (peer.begun.has(source) && !gone(situation, peer)) return replica;
  }
  return undefined;
}

/** Skipped in the order of ranks; a connected one that has not spoken yet has a lease to do so. */
function skipped(situation: Situation, member: string): boolean {
  if (!situation.relay) return false;
  const peer = situation.peers.get(member);
  return peer === undefined || gone(situation, peer) || (peer.lastBeat !== undefined && !peer.candidate);
}

function gone(situation: Situation, peer: PeerState): boolean {
  if (!situation.relay) return false;
  return !peer.connected || situation.now - (peer.lastBeat ?? peer.since) > situation.leaseMs;
}
