import type { Cause, Write } from '../documents/write.js';
import type { StateNode } from '../node/state-node.js';
import { type FileLayer, nodeFiles } from '../storage/file-layer.js';
import { planTask } from './plan-task.js';
import { ARCHIVE_AFTER_MS, type LogEntry, runMachine, runOptions } from './run-machine.js';
import { silentLog, type Log } from '../telemetry/log.js';
import { type SessionLogFile, SessionLogs } from './session-log.js';
import {
  actorOf,
  idOf,
  parseTask,
  type Task,
  TaskError,
  taskOf,
  unreadableOf,
  type UnreadableTask,
} from './task.js';

/** Tasks: agent runs, replicated, each its `run` actor's record (REQUIREMENTS R3). */
export interface Tasks {
  /**
   * Saves a task: new, or changed in its status, labels, log or result. Resolves when it is durable here. New log
   * entries go into the session log whole, and the last 20 of them into the documents, cut to 200 characters. New
   * is what follows the last entry that is known, so that the log is given whole, or its end.
   *
   * @throws {TaskError} nothing was saved then; after `session-log` some lines may be there.
   * @throws {ActorError} `quarantined`, `newer-version`, `archived`: its actor does not move.
   */
  saveTask(task: Task): Promise<void>;
  /**
   * Every task that is not deleted, the oldest first, but for those of {@link unreadableTasks}. One that ended a week
   * ago leaves at its shard's next cut; what it was is in the history of `run/<id>`.
   */
  loadTasks(): Task[];
  /** Tasks that {@link loadTasks} leaves out because nobody here can tell where they stand. */
  unreadableTasks(): UnreadableTask[];
  /** False when there is no such task. Its session log stays. */
  deleteTask(id: string): Promise<boolean>;
  /**
   * Appends lines to `sessions/<id>.log`, synced.
   *
   * @throws {TaskError} `session-log`.
   */
  saveSessionLog(session: string, lines: readonly LogEntry[]): Promise<void>;
  /** The session logs of this replica, as they lie in `sessions/`. */
  sessionLogs(): Promise<SessionLogFile[]>;
}

export interface TasksOptions {
  /** The folder that gets `sessions/`; usually the node's data folder. */
  dir: string;
  /** Bytes of a session log before it is put aside; default 4 MiB. */
  mostLogBytes?: number;
  /**
   * How long after its last event a task that has ended leaves the documents at a cut, milliseconds; default a week.
   * What first registers the `run` machine on a node says it for all.
   */
  archiveAfterMs?: number;
  files?: FileLayer;
  log?: Log;
}

/** Registers the `run` machine on the node and opens the session logs. */
export async function openTasks(
  { actors }: Pick<StateNode, 'actors'>,
  { dir, mostLogBytes, archiveAfterMs = ARCHIVE_AFTER_MS, files = nodeFiles, log = silentLog }: TasksOptions,
): Promise<Tasks> {
  const logs = await SessionLogs.open(dir, files, log, mostLogBytes);
  actors.register(runMachine, runOptions(archiveAfterMs));
  const working = new Map<string, Promise<unknown>>();

  function planned(wanted: Task): { writes: Write[]; newLogs: readonly LogEntry[]; cause: Cause } {
    const key = actorOf(wanted.id);
    const cause = { id: `task:${wanted.id}`, ts: wanted.updated_at };
    // Says so when it does not move.
    actors.writes(key, [], cause);
    const snapshot = actors.exists(key) ? actors.snapshot(key) : undefined;
    if (snapshot?.value === 'deleted') throw new TaskError('deleted', `task ${wanted.id} was deleted`);
    const known = (eventId: string) => actors.counts(key, eventId);
    const { events, newLogs } = planTask(snapshot && taskOf(snapshot), wanted, known);
    return { writes: actors.writes(key, events, cause), newLogs, cause };
  }

  async function save(wanted: Task): Promise<void> {
    // Before the documents know the entries: a kill in between leaves lines twice, and none out.
    const { newLogs } = planned(wanted);
    await logs.append(wanted.id, newLogs);
    // What came from others meanwhile counts.
    const { writes, cause } = planned(wanted);
    await actors.change(writes, cause);
  }

  async function remove(id: string): Promise<boolean> {
    const key = actorOf(id);
    if (!actors.exists(key)) return false;
    const { status, value } = actors.snapshot(key);
    if (status === 'archived' || value === 'deleted') return false;
    await actors.send(key, { type: 'DELETED' }, { cause: { id: 'deleted' } });
    return true;
  }

  /** One after another, so that each is planned on what the one before left; its error is its caller's. */
  async function inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = working.get(id) ?? Promise.resolve();
    const mine = before.then(work, work);
    working.set(id, mine);
    try {
      return await mine;
    } finally {
      if (working.get(id) === mine) working.delete(id);
    }
  }

  return {
    async saveTask(given) {
      const wanted = parseTask(given);
      await inTurn(wanted.id, () => save(wanted));
    },
    loadTasks() {
      const tasks = [...actors.keys('run')].flatMap((key) => taskOf(actors.snapshot(key)) ?? []);
      return tasks.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
    },
    unreadableTasks: () => [...actors.keys('run')].flatMap((key) => unreadableOf(actors.snapshot(key)) ?? []),
    deleteTask: (id) => inTurn(id, () => remove(id)),
    saveSessionLog: (session, lines) => logs.append(session, lines),
    sessionLogs: () => logs.list(Array.from(actors.keys('run'), idOf)),
  };
}
