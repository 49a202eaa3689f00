import { onTestFinished } from 'vitest';
import {
  silentLog,
  startRelay,
  systemClock,
  type OpenNodeOptions,
  type Relay,
  type StateNode,
} from '../../src/index.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { CLUSTER, eventually, MemoryStorage, node } from '../node/world.js';

/** The longest lease, and so the silence of an authority that is named first, milliseconds. */
export const LEASE_MS = 2_500;

/** A relay whose silence is short. */
export async function hub(storage = new MemoryStorage(), port = 0): Promise<Relay> {
  const started = await startRelay({
    port,
    tokens: undefined,
    storage,
    clusterCheck: clusterCheck(CLUSTER),
    limits: { claims: { longestLeaseMs: LEASE_MS } },
    clock: systemClock,
    log: silentLog,
  });
  onTestFinished(() => started.close());
  return started;
}

/** Two replicas at a relay that they know as the authority on claims. */
export async function replicas(
  relay: Relay,
  ...options: Partial<OpenNodeOptions>[]
): Promise<[StateNode, StateNode]> {
  const [first = {}, second = {}] = options;
  const one = await node([relay], { found: true, ...first });
  const two = await node([relay], second);
  await eventually(() => one.relays().every(({ state }) => state === 'open'));
  await one.claims.setAuthority(relay.url);
  await eventually(() => two.claims.authority()?.relay === relay.id);
  return [one, two];
}

export interface Said {
  event_id: string;
  origin_server_ts: number;
  content: { body: string };
}

export const said = (id: string, body = 'a text', at = Date.now()): Said => ({
  event_id: `$${id}`,
  origin_server_ts: at,
  content: { body },
});

export const ROOM = '!room:example.org';
