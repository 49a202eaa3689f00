import { kinds } from '../../documents/schemas/kinds.js';
import { forgottenTo } from '../erasure/remains.js';
import { NodeError } from '../errors.js';
import type { NodeInside } from '../inside.js';
import { NodeHistory } from './node-history.js';

/** The history of a node's actors: what was cut off stands in the audit documents, the rest in what is open. */
export function openHistories(inside: NodeInside): NodeHistory {
  const { parts, audit, view, records, counters, forgotten } = inside;
  return new NodeHistory({
    store: audit,
    machines: () => {
      if (inside.actors === undefined) throw new NodeError('closed', 'the node is not open yet');
      return inside.actors.machines;
    },
    view,
    shardsOf: (actor) => records.shardsOfActor(actor),
    cutsOf: (shard) =>
      (inside.generations?.chain(shard) ?? []).map(({ generation, heads }) => ({
        generation: generation - 1,
        heads,
      })),
    current: (shard) => {
      const current = inside.generations?.current(shard);
      return current && { generation: current.name.generation, document: current.handle.doc() };
    },
    forgottenTo: (actor) => forgottenTo('actor', kinds.actor.prefix + actor, undefined, forgotten),
    count: counters.countMalformed,
    clock: parts.clock,
  });
}
