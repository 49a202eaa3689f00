import type { StateNode } from '../node/state-node.js';
import { ensureFolder } from '../storage/folder.js';
import { type FileLayer, nodeFiles } from '../storage/file-layer.js';
import type { Keyring } from '../storage/sealed-chunks.js';
import { openTasks } from '../tasks/tasks.js';
import { silentLog, type Log } from '../telemetry/log.js';
import { systemClock, type Clock } from '../time/clock.js';
import { StateEmitter } from './events.js';
import { Outcomes } from './outcomes.js';
import { Reports } from './reports.js';
import { StateService } from './service.js';
import { SnapshotFile } from './snapshot-file.js';
import { Snapshots } from './snapshots.js';
import type { State } from './state.js';

const DEFAULT_AUTOSAVE_MS = 30_000;
/** How long a save waits for the disk to take the documents, milliseconds. */
const FLUSH_MS = 10_000;

/** What the service asks of a node. */
export type StateNodePort = Pick<StateNode, 'actors' | 'flush' | 'onChange' | 'onEvent'>;

export interface StateOptions {
  /** The folder that gets `state.json`, `sessions/` and `reports/`; usually the node's data folder. */
  dir: string;
  /** How often the state is saved by itself, milliseconds; 0: never. Default 30 s. */
  autosaveMs?: number;
  /** How long a save waits for the disk before it counts as failed, milliseconds. Default 10 s. */
  flushMs?: number;
  /** The snapshot is encrypted with the current one: give what the node has. */
  storageKeys?: Keyring;
  /** Bytes of a session log before it is put aside; default 4 MiB. */
  mostLogBytes?: number;
  /** See `openTasks`. */
  archiveAfterMs?: number;
  files?: FileLayer;
  clock?: Clock;
  log?: Log;
}

/**
 * Opens the state persistence service over a node. One for a folder; shut it down before the node is closed.
 *
 * @throws {FolderError} when the folder cannot be used; {RangeError} for a length of time that no timer takes.
 */
export async function openState(node: StateNodePort, options: StateOptions): Promise<State> {
  const { dir, files = nodeFiles, clock = systemClock, log = silentLog } = options;
  const { flushMs = FLUSH_MS, autosaveMs = DEFAULT_AUTOSAVE_MS } = options;
  checkLength('autosaveMs', autosaveMs);
  checkLength('flushMs', flushMs);
  await ensureFolder(dir, files);
  const { mostLogBytes, archiveAfterMs } = options;
  const tasks = await openTasks(node, {
    dir,
    files,
    log,
    ...(mostLogBytes !== undefined && { mostLogBytes }),
    ...(archiveAfterMs !== undefined && { archiveAfterMs }),
  });
  const reports = new Reports(dir, files, log);
  await reports.open();
  const emitter = new StateEmitter(log);
  const outcomes = new Outcomes(emitter, clock, log);
  const file = new SnapshotFile({ dir, keys: options.storageKeys ?? {}, files, clock, log });
  const snapshots = new Snapshots({ node, tasks, file, outcomes, flushMs, clock, log });
  const parts = { node, tasks, reports, file, snapshots, outcomes, emitter, autosaveMs, clock, log };
  const service = new StateService(parts);
  await service.open();
  return service;
}

/** A timer that was given more would go off at once, and for ever. */
function checkLength(name: string, ms: number): void {
  if (ms >= 0 && ms < 2 ** 31) return;
  throw new RangeError(`${name} must be a number of milliseconds from 0 to ${2 ** 31 - 1}, and is ${ms}`);
}
