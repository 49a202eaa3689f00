import type { Tasks } from '../tasks/tasks.js';
import type { StateEventName, StateEvents } from './events.js';
import type { PersistedState, StateMetrics } from './persisted-state.js';
import type { ReportFormat } from './reports.js';

/** How the saving of state stands; times in milliseconds. */
export interface StateStatus {
  /** When the snapshot on disk was written; null when none was, or nobody can tell. */
  readonly lastSavedAt: number | null;
  /** Its size. */
  readonly snapshotBytes: number;
  /** Since the start: snapshots, tasks, lines of logs and reports that were saved. */
  readonly saved: number;
  /** Since the start: those that the disk refused. */
  readonly failed: number;
  readonly autosaves: number;
  /** Since the start: recoveries told of. */
  readonly recovered: number;
  /** Since the start: calls of listeners that threw. */
  readonly listenersFailed: number;
  /** Why the last save of the state failed; undefined once one was made. */
  readonly fault: string | undefined;
  /** As of the last look, which every save is. */
  readonly metrics: StateMetrics;
}

export interface SavedState {
  /** Of the snapshot. */
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds. */
  readonly last_saved: number;
}

/** The state persistence service (REQUIREMENTS R3): tasks, session logs, reports, snapshots. Docs: docs/state-service.md. */
export interface State extends Omit<Tasks, 'sessionLogs'> {
  /**
   * Brings everything that stands in the documents to the disk, then writes the snapshot. Calls that come while one is
   * made share the next one.
   *
   * @throws {StateError} `not-flushed`, `not-written`: the snapshot before it stands; `closed`.
   */
  saveState(): Promise<SavedState>;
  /** What stands now. From the documents: a damaged or missing snapshot takes nothing from it but `last_saved`. */
  loadState(): Promise<PersistedState>;
  /**
   * Writes a report whole to `reports/<encoded id>.<format>`, in the place of one of the same id and format. Resolves
   * to its path when it is on disk.
   *
   * @throws {StateError} `not-written`, `invalid-report`, `closed`.
   */
  saveReport(id: string, content: string | Uint8Array, format?: ReportFormat): Promise<string>;
  /** Calls the listener from now on, and first with recoveries and migrations that nobody has heard. Returns the unsubscriber. */
  on<Name extends StateEventName>(name: Name, listener: (event: StateEvents[Name]) => void): () => void;
  status(): StateStatus;
  /**
   * Ends auto-save, waits for what is being written, and saves once more if something changed. False when that failed,
   * which was told and logged: everything acknowledged is on disk all the same. Call it before the node is closed.
   */
  shutdown(): Promise<boolean>;
}
