import type { StorageStatus } from '../../storage/durable.js';
import type { Facts } from '../../telemetry/health.js';
import type { Metrics } from '../../telemetry/metrics.js';

/** How the writes of documents stand, of a replica or a relay. */
export function showStorage(metrics: Metrics, status: () => StorageStatus): void {
  metrics.gauge(
    'storage_failing',
    'Whether something waits to be saved that the disk or server has refused: 1 or 0.',
    () => (status().state === 'failing' ? 1 : 0),
  );
  metrics.gauge(
    'storage_pending_writes',
    'Chunks that wait to be on disk, and are in memory alone until then.',
    () => status().pendingWrites,
  );
  metrics.gauge(
    'storage_pending_bytes',
    'Bytes of the chunks that wait to be on disk.',
    () => status().pendingBytes,
  );
  metrics.counter('storage_saves_total', 'Chunks saved, each on disk.', () => status().saved);
  metrics.counter(
    'storage_save_failures_total',
    'Attempts to save or remove a chunk that the disk or server refused; each is tried again.',
    () => status().saveErrors,
  );
  metrics.counter(
    'storage_corrupt_chunks_total',
    'Stored chunks that were found damaged or could not be read.',
    () => status().recovered,
  );
  metrics.gauge(
    'storage_last_save_timestamp_seconds',
    'When something was last put on disk; absent before the first time.',
    () => seconds(status().lastSavedAt),
  );
}

/** The same for the health pages. */
export function storageFacts(status: StorageStatus): Facts {
  const { state, pendingWrites, pendingBytes, lastSavedAt, saved, saveErrors, recovered } = status;
  return {
    state,
    last_saved_at: lastSavedAt === undefined ? null : new Date(lastSavedAt).toISOString(),
    pending_writes: pendingWrites,
    pending_bytes: pendingBytes,
    saved,
    save_failures: saveErrors,
    corrupt_chunks: recovered,
  };
}

const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);
