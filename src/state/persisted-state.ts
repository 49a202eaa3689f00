import { z } from 'zod';
import { task, type Task } from '../tasks/task.js';

/** A session log of this replica. */
const session = z.object({
  /** Null where the name of its file is a hash, and no task has that id. */
  id: z.string().nullable(),
  /** In the folder `sessions`. */
  file: z.string(),
  /** With what was put aside of it. */
  bytes: z.int().nonnegative(),
  /** When it was last written, milliseconds. */
  updated_at: z.int().nonnegative(),
});

const metrics = z.object({
  total: z.int().nonnegative(),
  completed: z.int().nonnegative(),
  failed: z.int().nonnegative(),
  /** From start to completion of the completed ones, milliseconds; null while there is none. */
  averageCompletionMs: z.number().nonnegative().nullable(),
});
export type StateMetrics = z.output<typeof metrics>;

/** What stands (REQUIREMENTS R3): tasks of all replicas, session logs of this one; times in milliseconds. */
export const persistedState = z.object({
  tasks: z.array(task),
  sessions: z.array(session),
  metrics,
  /** When this replica last wrote its snapshot; null when it never did, or nobody can tell. */
  last_saved: z.int().nonnegative().nullable(),
});
export type PersistedState = z.output<typeof persistedState>;

/** Of the tasks that stand: what was deleted, or left the documents a week after its end, counts no more. */
export function metricsOf(tasks: readonly Task[]): StateMetrics {
  const completed = tasks.filter(({ status }) => status === 'completed');
  const failed = tasks.filter(({ status }) => status === 'failed').length;
  const lengths = completed.map(lengthOf).filter((length) => length !== undefined);
  const sum = lengths.reduce((total, length) => total + length, 0);
  return {
    total: tasks.length,
    completed: completed.length,
    failed,
    averageCompletionMs: lengths.length === 0 ? null : sum / lengths.length,
  };
}

/** A task that nobody saw begin took as long as it stood there; one that ends before it begins, by two clocks, no time. */
function lengthOf({ created_at, started_at, completed_at }: Task): number | undefined {
  if (completed_at === null) return undefined;
  return Math.max(0, completed_at - (started_at ?? created_at));
}
