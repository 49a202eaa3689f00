import type { Facts } from '../../telemetry/health.js';
import type { StateNode } from '../state-node.js';
import { storageFacts } from './storage.js';

/** How a node stands, for the health pages. */
export function nodeFacts(node: StateNode): Facts {
  const { good, newest, failed, fault } = node.backups.status();
  const lag = node.replication();
  return {
    storage: storageFacts(node.storage()),
    backups: {
      good,
      newest_at: newest?.createdAt ?? null,
      failed,
      fault: fault ?? null,
    },
    relays: node.relays().map(({ url, state, since, reason }) => ({
      url,
      state,
      since: new Date(since).toISOString(),
      ...(state !== 'open' && reason !== undefined && { reason }),
    })),
    ...(lag && { replication: { waiting_documents: lag.documents, oldest_seconds: lag.oldestSeconds } }),
  };
}
