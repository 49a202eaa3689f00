import type { LiveActors } from '../actors/live-actors.js';
import { type Task, taskOf } from '../tasks/task.js';

/** All tasks that stand, each as it stands when it is looked at, the oldest first. Pauses at each. */
export function* collectTasks(actors: Pick<LiveActors, 'keys' | 'snapshot'>): Generator<void, Task[]> {
  const tasks: Task[] = [];
  for (const key of [...actors.keys('run')]) {
    const found = taskOf(actors.snapshot(key));
    if (found !== undefined) tasks.push(found);
    yield;
  }
  return tasks.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
}
