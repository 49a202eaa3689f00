import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { StateNode } from '../node/state-node.js';
import type { Handler } from '../telemetry/control.js';

const question = z.object({ outcome: z.enum(['atomic', 'not_atomic']) });

/** Records what a test of the homeserver came to (PROTOCOL D9), for all replicas; resolves when it is durable here. */
export async function recordJudge(
  node: Pick<StateNode, 'change'>,
  outcome: 'atomic' | 'not_atomic',
): Promise<void> {
  await node.change([{ kind: 'cluster', key: 'cluster', fields: { judge: outcome } }], {
    id: `judge:${randomUUID()}`,
  });
}

/** The control method `judge {outcome}`. */
export function judgeQuestion(node: Pick<StateNode, 'change'>): Record<string, Handler> {
  return {
    judge: async (params) => {
      const { outcome } = question.parse(params);
      await recordJudge(node, outcome);
      return { recorded: outcome };
    },
  };
}
