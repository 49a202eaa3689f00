import type { Metrics } from '../../telemetry/metrics.js';
import type { StateNode } from '../state-node.js';
import { showBackups } from './backups.js';

/** What a node counts, beside its storage. */
export function showNode(metrics: Metrics, node: StateNode): void {
  metrics.gauge('relay_connected', 'Whether some relay is connected: 1 or 0.', () =>
    node.channel.connected() ? 1 : 0,
  );
  metrics.gauge(
    'relay_links',
    'Relays that this replica is set to, by how the connection stands.',
    () => {
      const links = { connecting: 0, open: 0, waiting: 0, closed: 0 };
      for (const { state } of node.relays()) links[state] += 1;
      return links;
    },
    'state',
  );
  metrics.gauge(
    'replication_lag_seconds',
    'For how long the oldest change here waits to be stored by some relay; 0 when all is. Absent without relays.',
    () => node.replication()?.oldestSeconds,
  );
  metrics.gauge(
    'replication_lag_documents',
    'Documents with changes that no relay has said to have stored. Absent without relays.',
    () => node.replication()?.documents,
  );
  metrics.counter(
    'node_malformed_total',
    'Records that other replicas wrote and this one cannot read, by what is wrong.',
    () => ({ ...node.counters().malformed }),
    'what',
  );
  metrics.counter(
    'node_refused_changes_total',
    'Changes that came straight from another replica and could not be used; they come again by sync.',
    () => node.counters().refusedChanges,
  );
  metrics.counter(
    'node_failed_handlers_total',
    'Handlers of changes and events that threw.',
    () => node.counters().failedHandlers,
  );
  metrics.counter(
    'generations_total',
    'Generations of actors shards: cuts made, not made and failed, moves, records taken over.',
    () => ({ ...node.counters().generations }),
    'what',
  );
  metrics.counter(
    'recovered_documents_total',
    'Documents that had lost changes on this disk, by what gave them back.',
    () => ({ ...node.counters().recovery }),
    'what',
  );
  metrics.counter(
    'keyed_store_total',
    'Keyed stores: look-ups, evictions, persistence errors, entries that two replicas consumed.',
    () => new Map(Object.entries(node.counters().keyed)),
    'what',
  );
  metrics.counter(
    'claims_total',
    'Claims at the authority, by what became of them; waited and proceeded: no authority decided in time.',
    () => new Map(Object.entries(node.counters().claims)),
    'what',
  );
  metrics.gauge(
    'keyed_entries',
    'Entries that stand in keyed stores.',
    () => node.keyedEntries(),
    'namespace',
  );
  metrics.gauge(
    'quarantined_actors',
    'Actors that stand still until they are released.',
    () => node.actors.quarantined().size,
  );
  metrics.gauge('actor_duties', 'Effects and timers of actors that wait.', () => node.actors.pending());
  showBackups(metrics, node.backups);
}
