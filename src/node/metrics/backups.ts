import type { Metrics } from '../../telemetry/metrics.js';
import type { NodeBackups } from '../backup/node-backups.js';

/** How the backups of a replica stand. */
export function showBackups(metrics: Metrics, backups: Pick<NodeBackups, 'status' | 'everyMs'>): void {
  metrics.gauge('backups', 'Good backups in the folder, as of the last look.', () => backups.status().good);
  metrics.gauge('backup_running', 'Whether a backup is being made: 1 or 0.', () =>
    backups.status().state === 'running' ? 1 : 0,
  );
  metrics.gauge(
    'backup_failing',
    'Whether the last attempt to make a backup failed: 1 until one is made, else 0.',
    () => (backups.status().fault === undefined ? 0 : 1),
  );
  metrics.counter('backups_made_total', 'Backups made and read back.', () => backups.status().made);
  metrics.counter('backup_failures_total', 'Backups that failed.', () => backups.status().failed);
  metrics.counter(
    'backups_pruned_total',
    'Backups removed because newer ones are kept.',
    () => backups.status().pruned,
  );
  metrics.gauge(
    'backup_timestamp_seconds',
    'When the newest good backup was made; 0 while there is none.',
    () => Date.parse(backups.status().newest?.createdAt ?? new Date(0).toISOString()) / 1000,
  );
  metrics.gauge(
    'backup_interval_seconds',
    'Age of the newest backup at which the next is made (UNDERSTUDY_BACKUP_EVERY); 0: never by itself.',
    () => backups.everyMs / 1000,
  );
  metrics.gauge(
    'backup_bytes',
    'Size of the newest good backup; 0 while there is none.',
    () => backups.status().newest?.bytes ?? 0,
  );
}
