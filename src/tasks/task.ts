import { z } from 'zod';
import type { ActorSnapshot } from '../actors/snapshot.js';
import { LONGEST_MESSAGE, type LogEntry, NO_AGENT, type RunContext } from './run-machine.js';

export const taskStatuses = [
  'queued',
  'running',
  'awaitingApproval',
  'completed',
  'failed',
  'cancelled',
] as const;
export type TaskStatus = (typeof taskStatuses)[number];

/** Labels only: conversation text stays at the platform. */
const label = z.string().max(LONGEST_MESSAGE);
const time = z.int().nonnegative();

export const logEntry = z.object({
  timestamp: time,
  level: z.enum(['debug', 'info', 'warn', 'error']),
  type: z.string().max(64),
  message: z.string(),
});

/** A task as callers give and get it (REQUIREMENTS R3); times in milliseconds. */
export const task = z.object({
  /** Without white space; begins with the room or the person it belongs to, if it belongs to one. */
  id: z
    .string()
    .min(1)
    .max(400)
    .regex(/^[^\s/]\S*$/u, 'must not be empty, begin with a slash or hold white space'),
  description: label,
  status: z.enum(taskStatuses),
  agent: z.string().max(64).nullable(),
  created_at: time,
  updated_at: time,
  started_at: time.nullable(),
  completed_at: time.nullable(),
  logs: z.array(logEntry),
  result: label.nullable(),
});
export type Task = z.output<typeof task>;

/**
 * - `invalid-task`: a field that is missing, of another type, or too long; the message names it.
 * - `impossible-status`: from the status that the task has, this one cannot be reached.
 * - `already-ended`: the task ended with another result.
 * - `outdated`: another status or label, of a time (`updated_at`) before the one that the task has.
 * - `deleted`: the task was deleted; its id is not used again.
 * - `session-log`: a session log could not be written.
 */
export class TaskError extends Error {
  constructor(
    readonly code:
      'invalid-task' | 'impossible-status' | 'already-ended' | 'outdated' | 'deleted' | 'session-log',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'TaskError';
  }
}

/** @throws {TaskError} `invalid-task`. */
export function parseTask(given: unknown): Task {
  const parsed = task.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new TaskError(
    'invalid-task',
    `task: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is wrong'}`,
    {
      cause: parsed.error,
    },
  );
}

const PREFIX = 'run/';

/** A task is its run's actor (PROTOCOL A1). */
export const actorOf = (id: string): string => PREFIX + id;
export const idOf = (actor: string): string => actor.slice(PREFIX.length);

/** What an actor says of its task; undefined where it has none: deleted, quarantined, of a later version. */
export function taskOf(snapshot: ActorSnapshot): Task | undefined {
  const status = taskStatuses.find((known) => known === snapshot.value);
  if (status === undefined || snapshot.status !== 'active') return undefined;
  const { context } = snapshot as unknown as { context: RunContext };
  const created_at = context.created_at ?? context.updated_at ?? 0;
  return {
    id: idOf(snapshot.key),
    description: context.description ?? '',
    status,
    agent: context.agent === NO_AGENT ? null : context.agent,
    created_at,
    updated_at: context.updated_at ?? created_at,
    started_at: context.started_at,
    completed_at: context.completed_at,
    logs: [...context.logs] as LogEntry[],
    result: context.result,
  };
}

/** A task of which this replica cannot tell where it stands: of no other task anything is lost by it. */
export interface UnreadableTask {
  readonly id: string;
  /** `quarantined`: its actor stands still until it is released; `newer`: a later version of Understudy moved it. */
  readonly status: 'quarantined' | 'newer';
  readonly reason: string;
}

export function unreadableOf({ key, status, version, reason }: ActorSnapshot): UnreadableTask | undefined {
  if (status !== 'quarantined' && status !== 'newer') return undefined;
  const why = reason === undefined ? `version ${version} of its machine is not known here` : reason.message;
  return { id: idOf(key), status, reason: why };
}
