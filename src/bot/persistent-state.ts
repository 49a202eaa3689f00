import { approvalReactions } from '../keyed/namespaces/approval-reactions.js';
import { interactivePrompts } from '../keyed/namespaces/interactive-prompts.js';
import { sentMessages } from '../keyed/namespaces/sent-messages.js';
import { threadParticipation } from '../keyed/namespaces/thread-participation.js';
import type { StateNode } from '../node/state-node.js';
import type { ApprovalStore } from './approvals/open-requests.js';
import type { PromptStore } from './surface/list-askers.js';
import type { OwnMessageStores } from './addressing/own-messages.js';

/** The keyed stores of the bot, by the words of the setting that makes them persistent. */
const stores = {
  threads: threadParticipation,
  sent: sentMessages,
  prompts: interactivePrompts,
  approvals: approvalReactions,
} as const;

export type PersistentState = keyof typeof stores;

/** How a store is opened: in memory alone, unless it is one of those named. */
export function storeOptions<S extends PersistentState>(store: S, named: readonly PersistentState[]) {
  return { ...stores[store], persistent: named.includes(store) };
}

/** @throws {KeyedStoreError} `already-open`. */
export async function openOwnMessageStores(
  node: Pick<StateNode, 'openKeyedStore'>,
  named: readonly PersistentState[],
): Promise<OwnMessageStores> {
  return {
    sent: await node.openKeyedStore(storeOptions('sent', named)),
    threads: await node.openKeyedStore(storeOptions('threads', named)),
  };
}

/** The keyed stores of what waits for a person's choice. */
export interface QuestionStores {
  approvals: ApprovalStore;
  prompts: PromptStore;
}

/** @throws {KeyedStoreError} `already-open`. */
export async function openQuestionStores(
  node: Pick<StateNode, 'openKeyedStore'>,
  named: readonly PersistentState[],
): Promise<QuestionStores> {
  return {
    approvals: await node.openKeyedStore(storeOptions('approvals', named)),
    prompts: await node.openKeyedStore(storeOptions('prompts', named)),
  };
}
