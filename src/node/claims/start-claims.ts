import type { NodeInside } from '../inside.js';
import type { StateNode } from '../state-node.js';
import { NodeClaims } from './node-claims.js';
import { SeenToken } from './seen-token.js';

/** The claims of a node. */
export async function startClaims(
  inside: NodeInside,
  node: Pick<StateNode, 'synced' | 'replicated'>,
): Promise<NodeClaims> {
  const { parts, counters, view } = inside;
  const { clock, log, relays, options, self } = parts;
  const seen = await SeenToken.open(options.dataDir, (err) => {
    counters.claims.persistenceErrors += 1;
    log.error({ err }, 'claims.json, with the highest token seen, could not be read or written');
  });
  return new NodeClaims({
    view,
    relays,
    seen,
    counters: counters.claims,
    replica: self.replica,
    change: (writes, cause) => inside.change(writes, cause),
    synced: (deadlineMs) => node.synced(deadlineMs),
    replicated: (deadlineMs) => node.replicated(deadlineMs),
    clock,
    log,
  });
}
