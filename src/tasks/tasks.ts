import type { StateNode } from '../node/state-node.js';
import { type FileLayer, nodeFiles } from '../storage/file-layer.js';
import { planTask } from './plan-task.js';
import { type LogEntry, runMachine, runOptions } from './run-machine.js';
import { SessionLogs } from './session-log.js';
import { actorOf, parseTask, type Task, TaskError, taskOf } from './task.js';

/** Tasks: agent runs, replicated, each its `run` actor's record (REQUIREMENTS R3). */
export interface Tasks {
  /**
   * Saves a task: new, or changed in its status, labels, log or result. Resolves when it is durable here. New log
   * entries go into the session log whole, and the last 20 of them into the documents, cut to 200 characters.
   *
   * @throws {TaskError}
   * @throws {ActorError} `quarantined`, `newer-version`: its actor does not move.
   */
  saveTask(task: Task): Promise<void>;
  /** Every task that is not deleted, the oldest first. */
  loadTasks(): Task[];
  /** False when there is no such task. Its session log stays. */
  deleteTask(id: string): Promise<boolean>;
  /**
   * Appends lines to `sessions/<id>.log`, synced.
   *
   * @throws {TaskError} `session-log`.
   */
  saveSessionLog(session: string, lines: readonly LogEntry[]): Promise<void>;
}

export interface TasksOptions {
  /** The folder that gets `sessions/`; usually the node's data folder. */
  dir: string;
  /** Bytes of a session log before it is put aside; default 4 MiB. */
  mostLogBytes?: number;
  files?: FileLayer;
}

/** Registers the `run` machine on the node and opens the session logs. */
export async function openTasks(
  { actors }: Pick<StateNode, 'actors'>,
  { dir, mostLogBytes, files = nodeFiles }: TasksOptions,
): Promise<Tasks> {
  const logs = await SessionLogs.open(dir, files, mostLogBytes);
  actors.register(runMachine, runOptions);
  const saving = new Map<string, Promise<void>>();

  async function save(wanted: Task): Promise<void> {
    const key = actorOf(wanted.id);
    const snapshot = actors.exists(key) ? actors.snapshot(key) : undefined;
    if (snapshot?.value === 'deleted') throw new TaskError('deleted', `task ${wanted.id} was deleted`);
    const known = new Set(
      actors
        .get(key)
        .history()
        .map(({ event }) => event.id),
    );
    const { events, newLogs } = planTask(snapshot && taskOf(snapshot), wanted, known);
    // Before the documents know the entries: a kill in between leaves lines twice, and none out.
    await logs.append(wanted.id, newLogs);
    const cause = { id: `task:${wanted.id}`, ts: wanted.updated_at };
    await actors.change(actors.writes(key, events, cause), cause);
  }

  return {
    async saveTask(given) {
      const wanted = parseTask(given);
      const before = saving.get(wanted.id) ?? Promise.resolve();
      // One after another, so that each is planned on what the one before left; its error is its caller's.
      const work = before.then(
        () => save(wanted),
        () => save(wanted),
      );
      saving.set(wanted.id, work);
      try {
        await work;
      } finally {
        if (saving.get(wanted.id) === work) saving.delete(wanted.id);
      }
    },
    loadTasks() {
      const tasks = [...actors.keys('run')].flatMap((key) => taskOf(actors.snapshot(key)) ?? []);
      return tasks.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
    },
    async deleteTask(id) {
      const key = actorOf(id);
      if (!actors.exists(key) || actors.snapshot(key).value === 'deleted') return false;
      await actors.send(key, { type: 'DELETED' }, { cause: { id: 'deleted' } });
      return true;
    },
    saveSessionLog: (session, lines) => logs.append(session, lines),
  };
}
