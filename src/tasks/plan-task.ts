import { createHash } from 'node:crypto';
import type { ActorEvent, PlannedEvent } from '../actors/plan.js';
import { LONGEST_MESSAGE, type LogEntry, MOST_LOGS } from './run-machine.js';
import { type Task, TaskError, type TaskStatus } from './task.js';

const ended: ReadonlySet<TaskStatus> = new Set(['completed', 'failed', 'cancelled']);
const end = { completed: 'COMPLETED', failed: 'FAILED', cancelled: 'CANCELLED' } as const;

/** The events that bring a task from what it is to what is wanted, and the log entries that are new. */
export interface TaskPlan {
  readonly events: readonly PlannedEvent[];
  readonly newLogs: readonly LogEntry[];
}

/**
 * @param before what stands now; undefined for a new task.
 * @param known ids of the events that its actor has in this generation.
 * @throws {TaskError} `impossible-status`, `already-ended`.
 */
export function planTask(before: Task | undefined, wanted: Task, known: ReadonlySet<string>): TaskPlan {
  const newLogs = logsAfter(before?.logs ?? [], wanted.logs, known);
  const events = [
    ...created(before, wanted),
    ...newLogs.slice(-MOST_LOGS).map((entry) => logEvent(entry)),
    ...moves(before, wanted),
  ];
  return { events, newLogs };
}

function created(
  before: Task | undefined,
  { description, agent, created_at, updated_at }: Task,
): PlannedEvent[] {
  const label = { description, ...(agent !== null && { agent }) };
  if (before === undefined) {
    return [{ id: 'created', event: { type: 'CREATED', ...label, at: created_at }, ts: created_at }];
  }
  if (before.description === description && before.agent === agent) return [];
  const id = `label/${updated_at}/${hash([description, agent])}`;
  return [{ id, event: { type: 'LABELLED', ...label }, ts: updated_at }];
}

/** A log only grows: what follows the last entry that is known is new. */
function logsAfter(
  kept: readonly LogEntry[],
  given: readonly LogEntry[],
  known: ReadonlySet<string>,
): LogEntry[] {
  const hashes = new Set(kept.map((entry) => hash(bounded(entry))));
  const last = given.findLastIndex((entry) => known.has(logId(entry)) || hashes.has(hash(bounded(entry))));
  return given.slice(last + 1);
}

const logId = ({ timestamp, level, type, message }: LogEntry): string =>
  `log/${hash([timestamp, level, type, message])}`;

function logEvent(entry: LogEntry): PlannedEvent {
  const { timestamp, level, type: kind, message } = bounded(entry);
  return {
    id: logId(entry),
    event: { type: 'LOGGED', timestamp, level, kind, message },
    ts: timestamp,
  };
}

/** As it stands in the documents. */
function bounded({ timestamp, level, type, message }: LogEntry): LogEntry {
  return { timestamp, level, type, message: Array.from(message).slice(0, LONGEST_MESSAGE).join('') };
}

function moves(before: Task | undefined, wanted: Task): PlannedEvent[] {
  const from = before?.status ?? 'queued';
  const to = wanted.status;
  if (before !== undefined && ended.has(from)) {
    if (from !== to) throw impossible(wanted.id, from, to);
    if (before.result === wanted.result) return [];
    throw new TaskError('already-ended', `task ${wanted.id} has ${to} with another result`);
  }
  return path(from, wanted).map(({ type, ...fields }) => ({
    id: ended.has(to) && type !== 'BEGUN' ? 'ended' : `status/${wanted.updated_at}/${type.toLowerCase()}`,
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
