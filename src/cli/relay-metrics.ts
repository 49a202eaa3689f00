import type { Relay } from '../sync/relay.js';
import type { Metrics } from '../telemetry/metrics.js';

/** Puts what a relay counts on its metrics page. */
export function showRelay(metrics: Metrics, relay: Pick<Relay, 'stats'>): void {
  metrics.gauge('relay', 'What the relay counts, by name.', () => ({ ...relay.stats() }), 'count');
  metrics.gauge(
    'relay_connections',
    'Connections now, by role; greeting: not yet said who they are.',
    () => {
      const { connections, replicas, viewers, admins } = relay.stats();
      const greeting = Math.max(0, connections - replicas - viewers - admins);
      return { replica: replicas, viewer: viewers, admin: admins, greeting };
    },
    'role',
  );
  metrics.gauge(
    'relay_documents',
    'Documents in memory, and of these those that were announced and have not arrived.',
    () => {
      const { documents, awaitedDocuments } = relay.stats();
      return { memory: documents, awaited: awaitedDocuments };
    },
    'state',
  );
  metrics.gauge(
    'relay_bytes',
    'Bytes of frames since the start, by direction.',
    () => {
      const { bytesIn, bytesOut } = relay.stats();
      return { in: bytesIn, out: bytesOut };
    },
    'direction',
  );
  metrics.gauge(
    'relay_backlog_bytes',
    'Lag: bytes that wait for their readers, over all connections and of the slowest.',
    () => {
      const { backlogBytes, greatestBacklogBytes } = relay.stats();
      return { all: backlogBytes, slowest: greatestBacklogBytes };
    },
    'of',
  );
  metrics.gauge('relay_held_bytes', 'Bytes that the relay holds for its connections.', () => {
    return relay.stats().heldBytes;
  });
  metrics.gauge(
    'relay_refusals',
    'Connections refused or ended since the start, by reason.',
    () =>
      Object.fromEntries(Object.entries(relay.stats()).filter(([name]) => /^(refused|closed)/.test(name))),
    'reason',
  );
}
