import { kindNames } from '../documents/schemas/kinds.js';
import { actorQuestions } from '../node/audit/questions.js';
import { claimQuestions } from '../node/claims/questions.js';
import type { StateNode } from '../node/state-node.js';
import type { Handler } from '../telemetry/control.js';
import type { LookedAt, LookedAtRecord } from '../telemetry/look.js';
import type { Bot } from './bot.js';
import { judgeQuestion } from './judge-question.js';

/** What the control socket of a running replica answers: `inspect {key?}`, `status {}`, `tasks {}`, `heads {}`, `judge {outcome}`, and about actors. */
export function inspectHandlers(node: StateNode, bot: Bot): Record<string, Handler> {
  return {
    inspect: ({ key }): LookedAt => ({ records: look(node, typeof key === 'string' ? key : undefined) }),
    status: () => ({
      ...bot.status(),
      incarnation: node.self.incarnation,
      documents: node.status().state,
      storage: node.storage().state,
      backups: node.backups.status(),
      ready: bot.readiness().length === 0,
    }),
    tasks: () => ({ ...bot.tasks.summary() }),
    heads: () => ({ documents: node.heads() }),
    ...judgeQuestion(node),
    ...actorQuestions(node),
    ...claimQuestions(node.claims),
  };
}

function look(node: StateNode, wanted: string | undefined): LookedAtRecord[] {
  const records: LookedAtRecord[] = [];
  for (const kind of kindNames) {
    for (const [key] of node.entries(kind)) {
      if (wanted !== undefined && kind !== wanted && !key.startsWith(wanted)) continue;
      // Plain JSON on both sides; only the library's type of it is not readonly.
      records.push({ kind, key, fields: (node.provenance(kind, key) ?? {}) as LookedAtRecord['fields'] });
    }
  }
  return records;
}
