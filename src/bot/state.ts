import type { StateNode } from '../node/state-node.js';
import { openState } from '../state/open-state.js';
import type { State } from '../state/state.js';
import type { Keyring } from '../storage/sealed-chunks.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Clock } from '../time/clock.js';

/** A save at the end must leave time for what is closed after it, milliseconds. */
const FLUSH_MS = 5_000;

/** The state service of a replica: saved by itself and at the end, shown in its metrics and on its health pages. */
export interface ReplicaState {
  /** Looks at all that stands, for the metrics. Never rejects. */
  load(): Promise<void>;
  notes(): string[];
  facts(): object;
  /** Saves once more. Never rejects. */
  close(): Promise<void>;
}

export async function openReplicaState(
  node: StateNode,
  settings: { dataDir: string; autosaveMs: number; archiveAfterMs: number; storageKeys?: Keyring },
  { clock, log, metrics }: { clock: Clock; log: Log; metrics: Metrics },
): Promise<ReplicaState> {
  const { dataDir: dir, autosaveMs, archiveAfterMs, storageKeys } = settings;
  const keys = storageKeys && { storageKeys };
  const lengths = { autosaveMs, archiveAfterMs, flushMs: FLUSH_MS };
  const state = await openState(node, { dir, ...lengths, ...keys, clock, log });
  show(metrics, state);
  return {
    async load() {
      try {
        await state.loadState();
      } catch (error) {
        metrics.counted('state', 'load-failed');
        log.error({ err: error }, 'the state could not be looked at; the documents are as they are');
      }
    },
    notes() {
      const { fault } = state.status();
      return fault === undefined ? [] : [`the last save of the state failed: ${fault}`];
    },
    facts() {
      const { lastSavedAt, failed, fault = null } = state.status();
      const saved_at = lastSavedAt === null ? null : new Date(lastSavedAt).toISOString();
      return { saved_at, failed, fault };
    },
    async close() {
      await state.shutdown();
    },
  };
}

function show(metrics: Metrics, state: State): void {
  state.on('state:saved', ({ what, ms }) => {
    if (what === 'state') metrics.took('state-save', ms);
  });
  state.on('state:loaded', ({ ms }) => metrics.took('state-load', ms));
  // Those of documents are the storage's own, and counted there.
  state.on('state:save-error', ({ what, code }) => {
    if (what !== 'documents') metrics.counted('state', code);
  });
  metrics.counter(
    'state_saves_total',
    'Snapshots, session logs and reports: saved, and refused by the disk.',
    () => ({ saved: state.status().saved, failed: state.status().failed }),
    'outcome',
  );
  metrics.counter('state_autosaves_total', 'Times that the state was to be saved by itself.', () => {
    return state.status().autosaves;
  });
  metrics.counter(
    'state_recoveries_total',
    'What was damaged on this disk, and what gave documents back, told one by one.',
    () => state.status().recovered,
  );
  metrics.gauge(
    'state_last_save_timestamp_seconds',
    'When the snapshot of the state was last written, since 1970.',
    () => {
      const { lastSavedAt } = state.status();
      return lastSavedAt === null ? undefined : lastSavedAt / 1000;
    },
  );
  metrics.gauge('state_snapshot_bytes', 'Size of the last snapshot of the state.', () => {
    return state.status().snapshotBytes;
  });
  metrics.gauge(
    'task_completion_seconds',
    'From start to completion, on average, of the completed tasks that stand, as of the last save.',
    () => {
      const { averageCompletionMs } = state.status().metrics;
      return averageCompletionMs === null ? undefined : averageCompletionMs / 1000;
    },
  );
}
