import { createHash } from 'node:crypto';
import type { ActorEvent, PlannedEvent } from '../actors/plan.js';
import { LONGEST_MESSAGE, type LogEntry, MOST_LOGS, NO_AGENT } from './run-machine.js';
import { type Task, TaskError, type TaskStatus } from './task.js';

const ended: ReadonlySet<TaskStatus> = new Set(['completed', 'failed', 'cancelled']);
const end = { completed: 'COMPLETED', failed: 'FAILED', cancelled: 'CANCELLED' } as const;

/** The events that bring a task from what it is to what is wanted, and the log entries that are new. */
export interface TaskPlan {
  readonly events: readonly PlannedEvent[];
  readonly newLogs: readonly LogEntry[];
}

/** Whether the task's actor counts the event of that id already. */
type Known = (eventId: string) => boolean;

/**
 * @param before what stands now; undefined for a new task.
 * @throws {TaskError} `impossible-status`, `already-ended`, `outdated`.
 */
export function planTask(before: Task | undefined, wanted: Task, known: Known): TaskPlan {
  const fresh = logsAfter(before?.logs ?? [], wanted.logs, known);
  const labels = labelled(before, wanted, known);
  const steps = moves(before, wanted, known);
  if (before !== undefined && wanted.updated_at < before.updated_at && labels.length + steps.length > 0) {
    throw new TaskError(
      'outdated',
      `task ${wanted.id} was updated at ${before.updated_at}, and what is saved is of ${wanted.updated_at}`,
    );
  }
  const logs = fresh.slice(-MOST_LOGS).map((one) => logEvent(one, wanted.updated_at));
  return { events: [...labels, ...logs, ...steps], newLogs: fresh.map(({ entry }) => entry) };
}

function labelled(before: Task | undefined, wanted: Task, known: Known): PlannedEvent[] {
  const { description, agent, created_at, updated_at } = wanted;
  if (before === undefined) {
    const label = { description, ...(agent !== null && { agent }) };
    return [{ id: 'created', event: { type: 'CREATED', ...label, at: created_at }, ts: created_at }];
  }
  const taken = { description, agent: agent ?? NO_AGENT };
  if (before.description === description && (before.agent ?? NO_AGENT) === taken.agent) return [];
  const id = unused(`label/${updated_at}/${hash([description, agent])}`, known);
  return [{ id, event: { type: 'LABELLED', ...taken }, ts: updated_at }];
}

/**
 * One name for what several replicas save alike, and another for what comes to the same once more: a task may go
 * back and forth within a millisecond.
 */
function unused(name: string, known: Known): string {
  if (!known(name)) return name;
  let n = 2;
  while (known(`${name}/${n}`)) n += 1;
  return `${name}/${n}`;
}

interface NumberedEntry {
  readonly entry: LogEntry;
  /** Equal entries are told apart by their order in the log. */
  readonly id: string;
}

/** A log only grows: what follows the last entry that is known is new. */
function logsAfter(kept: readonly LogEntry[], given: readonly LogEntry[], known: Known): NumberedEntry[] {
  const standing = new Tally();
  for (const entry of kept) standing.next(contentOf(bounded(entry)));
  const [whole, cut] = [new Tally(), new Tally()];
  let fresh: NumberedEntry[] = [];
  for (const entry of given) {
    const name = contentOf(entry);
    const n = whole.next(name);
    const id = n === 1 ? `log/${name}` : `log/${name}/${n}`;
    const short = contentOf(bounded(entry));
    if (cut.next(short) <= standing.of(short) || known(id)) fresh = [];
    else fresh.push({ entry, id });
  }
  return fresh;
}

class Tally {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  next(name: string): number {
    const count = this.of(name) + 1;
    this.#counts.set(name, count);
    return count;
  }
}

const contentOf = ({ timestamp, level, type, message }: LogEntry): string =>
  hash([timestamp, level, type, message]);

/** Its time is the task's, or a log written ahead would make the task's own next save an outdated one. */
function logEvent({ entry, id }: NumberedEntry, updated_at: number): PlannedEvent {
  const { timestamp, level, type: kind, message } = bounded(entry);
  return { id, event: { type: 'LOGGED', timestamp, level, kind, message }, ts: updated_at };
}

/** As it stands in the documents. */
function bounded({ timestamp, level, type, message }: LogEntry): LogEntry {
  return { timestamp, level, type, message: Array.from(message).slice(0, LONGEST_MESSAGE).join('') };
}

function moves(before: Task | undefined, wanted: Task, known: Known): PlannedEvent[] {
  const from = before?.status ?? 'queued';
  const to = wanted.status;
  if (before !== undefined && ended.has(from)) {
    if (from !== to) throw impossible(wanted.id, from, to);
    if (before.result === wanted.result) return [];
    throw new TaskError('already-ended', `task ${wanted.id} has ${to} with another result`);
  }
  return path(from, wanted).map(({ type, ...fields }) => ({
    id: unused(
      ended.has(to) && type !== 'BEGUN' ? 'ended' : `status/${wanted.updated_at}/${type.toLowerCase()}`,
      known,
    ),
    event: { type, ...fields } as ActorEvent,
    ts: wanted.updated_at,
  }));
}

type Move = ActorEvent;

function path(from: TaskStatus, wanted: Task): Move[] {
  const { status: to, started_at, completed_at, updated_at, agent, result } = wanted;
  const begun: Move = { type: 'BEGUN', at: started_at ?? updated_at, ...(agent !== null && { agent }) };
  if (to === from) return [];
  switch (to) {
    case 'queued':
      return [{ type: 'WAITING' }];
    case 'running':
      return from === 'queued' ? [begun] : [{ type: 'RESUMED' }];
    case 'awaitingApproval':
      return [...(from === 'queued' ? [begun] : []), { type: 'ASKED' }];
    case 'completed':
    case 'failed':
    case 'cancelled': {
      const last: Move = {
        type: end[to],
        at: completed_at ?? updated_at,
        ...(result !== null && { result }),
      };
      return from === 'queued' && started_at !== null ? [begun, last] : [last];
    }
  }
}

function impossible(id: string, from: TaskStatus, to: TaskStatus): TaskError {
  return new TaskError('impossible-status', `task ${id} is ${from} and cannot become ${to}`);
}

const hash = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
