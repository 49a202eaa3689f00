import type { LiveActors } from '../actors/live-actors.js';
import type { ActorSnapshot } from '../actors/snapshot.js';
import { splitActorKey } from '../documents/actor-key.js';
import { type Kind, kinds } from '../documents/schemas/kinds.js';
import { type Task, taskOf, type TaskStatus, unreadableOf } from './task.js';

/** What is under way, and how many tasks stand where. */
export interface TaskSummary {
  /** Tasks of which this replica cannot tell where they stand. */
  readonly unreadable: number;
  readonly counts: Readonly<Partial<Record<TaskStatus, number>>>;
  readonly underWay: readonly Pick<Task, 'id' | 'description' | 'status' | 'agent' | 'started_at'>[];
}

type Standing = TaskSummary['underWay'][number] | 'unreadable';

export interface BoardPort {
  readonly actors: Pick<LiveActors, 'keys' | 'snapshot'>;
  onChange(handle: (changed: { kind: Kind; key: string }) => void): () => void;
}

const isOver = ({ status }: Pick<Task, 'status'>): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

// Without its log: there may be many thousands of them.
/** Undefined for a task that was deleted, or left. */
function standingOf(snapshot: ActorSnapshot): Standing | undefined {
  const task = taskOf(snapshot);
  if (task === undefined) return unreadableOf(snapshot) && 'unreadable';
  const { id, description, status, agent, started_at } = task;
  return { id, description, status, agent, started_at };
}

/** All tasks' standings, kept up by the changes of their actors: asked for by every `!status`. In memory only. */
export class TaskBoard {
  readonly #standings = new Map<string, Standing>();
  readonly #touched: Set<string>;
  readonly #stop: () => void;

  constructor(private readonly port: BoardPort) {
    this.#touched = new Set(port.actors.keys('run'));
    this.#stop = port.onChange(({ kind, key }) => this.#changed(kind, key));
  }

  summary(): TaskSummary {
    this.#look();
    const counts: Partial<Record<TaskStatus, number>> = {};
    const underWay: Exclude<Standing, string>[] = [];
    let unreadable = 0;
    for (const standing of this.#standings.values()) {
      if (standing === 'unreadable') {
        unreadable += 1;
        continue;
      }
      counts[standing.status] = (counts[standing.status] ?? 0) + 1;
      if (!isOver(standing)) underWay.push(standing);
    }
    underWay.sort((a, b) => (a.started_at ?? Infinity) - (b.started_at ?? Infinity));
    return { unreadable, counts, underWay };
  }

  close(): void {
    this.#stop();
  }

  #look(): void {
    for (const key of this.#touched) {
      const standing = standingOf(this.port.actors.snapshot(key));
      if (standing === undefined) this.#standings.delete(key);
      else this.#standings.set(key, standing);
    }
    this.#touched.clear();
  }

  #changed(kind: Kind, key: string): void {
    if (kind !== 'event' && kind !== 'base') return;
    const name = key.slice(kinds[kind].prefix.length);
    const actor = kind === 'base' ? name : splitActorKey(name)?.actor;
    if (actor?.startsWith('run/') === true) this.#touched.add(actor);
  }
}
