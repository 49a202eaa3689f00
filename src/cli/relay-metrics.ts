import { relayCounts } from '../sync/relay-stats.js';
import type { Relay } from '../sync/relay.js';
import type { Metrics } from '../telemetry/metrics.js';

/** Counts that have a metric of their own. */
const BYTES_AND_FRAMES = new Set<string>(['bytesIn', 'bytesOut', 'framesIn', 'framesOut']);
const isRefusal = (name: string): boolean => /^(refused(?!Changes)|closed)/.test(name);
const refusals = relayCounts.filter(isRefusal);
const others = relayCounts.filter((name) => !isRefusal(name) && !BYTES_AND_FRAMES.has(name));

/** Puts what a relay counts on its metrics page. */
export function showRelay(metrics: Metrics, relay: Pick<Relay, 'stats' | 'draining' | 'claims'>): void {
  const counts = (names: readonly (typeof relayCounts)[number][]): Record<string, number> => {
    const stats = relay.stats();
    return Object.fromEntries(names.map((name) => [name, stats[name]]));
  };
  metrics.gauge('relay_draining', 'Whether it ends, and takes no more connections: 1 or 0.', () =>
    relay.draining() ? 1 : 0,
  );
  metrics.gauge(
    'relay_connections',
    'Connections now, by who is there; greeting: not yet said who they are.',
    () => {
      const { connections, replicas, viewers, admins } = relay.stats();
      const greeting = Math.max(0, connections - replicas - viewers - admins);
      return { replica: replicas, viewer: viewers, admin: admins, greeting };
    },
    'peer',
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
  metrics.counter(
    'relay_bytes_total',
    'Bytes of frames, by direction.',
    () => {
      const { bytesIn, bytesOut } = relay.stats();
      return { in: bytesIn, out: bytesOut };
    },
    'direction',
  );
  metrics.counter(
    'relay_frames_total',
    'Frames, by direction.',
    () => {
      const { framesIn, framesOut } = relay.stats();
      return { in: framesIn, out: framesOut };
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
  metrics.counter(
    'relay_refusals_total',
    'Connections refused or ended by the relay, by reason.',
    () => counts(refusals),
    'reason',
  );
  showClaims(metrics, relay);
  metrics.counter(
    'relay_events_total',
    'What else the relay counts, by name.',
    () => counts(others),
    'event',
  );
}

/** Of a relay that may be the authority on claims. */
function showClaims(metrics: Metrics, relay: Pick<Relay, 'claims'>): void {
  metrics.counter(
    'relay_claims_total',
    'Claims that this relay gave, gave again, renewed, took for good, took back; its disk was older, or failed.',
    () => {
      const { granted, repeated, renewed, committed, released, rolledBack, failures } = relay.claims();
      return { granted, repeated, renewed, committed, released, rolledBack, failures };
    },
    'what',
  );
  metrics.counter(
    'relay_claims_refused_total',
    'Claims that this relay refused, by reason.',
    () => relay.claims().refused,
    'reason',
  );
  metrics.gauge(
    'relay_claims',
    'Claims that are held, and keys that are remembered as taken for good.',
    () => {
      const { held, consumed } = relay.claims();
      return { held, consumed };
    },
    'state',
  );
  metrics.gauge(
    'relay_is_authority',
    'Whether this relay decides on claims: 1 or 0.',
    () => relay.claims().authority,
  );
}
