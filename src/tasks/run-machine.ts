import { assign, setup } from 'xstate';
import type { MachineOptions } from '../actors/machines.js';

/** One line of a task's log. */
export interface LogEntry {
  /** Milliseconds. */
  readonly timestamp: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** A short word of the writer's, as in `begun`. */
  readonly type: string;
  readonly message: string;
}

/** What a run's actor keeps: times in milliseconds, labels and codes, never what people or agents said. */
export interface RunContext {
  readonly description: string | null;
  /** {@link NO_AGENT} where it was taken away. */
  readonly agent: string | null;
  readonly created_at: number | null;
  readonly started_at: number | null;
  readonly updated_at: number | null;
  readonly completed_at: number | null;
  /** A short label of how it ended. */
  readonly result: string | null;
  /** How often it was begun, outages and hand-overs included. */
  readonly attempts: number;
  /** Id of the approval that it waits for. */
  readonly approval: string | null;
  /** The last {@link MOST_LOGS}. */
  readonly logs: readonly LogEntry[];
}

/** An event without an agent leaves the one that is there; this one takes it away. */
export const NO_AGENT = '';
/** Entries that stay in the documents; all of them are in the session log. */
export const MOST_LOGS = 20;
/** Of a message in the documents, characters. */
export const LONGEST_MESSAGE = 200;

interface RunEvent {
  readonly type:
    | 'CREATED'
    | 'LABELLED'
    | 'BEGUN'
    | 'WAITING'
    | 'ATTEMPT_FAILED'
    | 'ASKED'
    | 'RESUMED'
    | 'COMPLETED'
    | 'FAILED'
    | 'CANCELLED'
    | 'LOGGED'
    | 'DELETED';
  readonly ts: number;
  /** When it happened, where that is not when it was written. */
  readonly at?: number;
  readonly description?: string;
  readonly agent?: string;
  readonly approval?: string;
  readonly result?: string;
  readonly timestamp?: number;
  readonly level?: LogEntry['level'];
  readonly kind?: string;
  readonly message?: string;
}

type Given = { context: RunContext; event: RunEvent };

const when = ({ event }: Given): number => event.at ?? event.ts;

const withLog =
  (level: LogEntry['level'], type: string) =>
  (given: Given): readonly LogEntry[] =>
    logged(given, { timestamp: when(given), level, type, message: given.event.result ?? '' });

const logged = ({ context }: Given, entry: LogEntry): readonly LogEntry[] =>
  [...context.logs, entry].slice(-MOST_LOGS);

const ending = { completed_at: when, updated_at: when, approval: null } as const;

// The hash of a definition does not cover what these assignments do: whoever changes one raises the version.
/** An agent's run, which is a task's only record (PROTOCOL A1): actor `run/<task id>`. */
export const runMachine = setup({
  types: { context: {} as RunContext, events: {} as RunEvent },
  actions: {
    create: assign({
      description: ({ context, event }) => event.description ?? context.description,
      agent: ({ context, event }) => event.agent ?? context.agent,
      created_at: (given) => given.context.created_at ?? when(given),
      updated_at: when,
    }),
    label: assign({
      description: ({ context, event }) => event.description ?? context.description,
      agent: ({ context, event }) => event.agent ?? context.agent,
      updated_at: when,
    }),
    begin: assign({
      agent: ({ context, event }) => event.agent ?? context.agent,
      created_at: (given) => given.context.created_at ?? when(given),
      started_at: (given) => given.context.started_at ?? when(given),
      updated_at: when,
      attempts: ({ context }) => context.attempts + 1,
      logs: withLog('info', 'begun'),
    }),
    wait: assign({ updated_at: when, approval: null, logs: withLog('info', 'waiting') }),
    attemptFailed: assign({ updated_at: when, approval: null, logs: withLog('warn', 'attempt-failed') }),
    ask: assign({
      approval: ({ event }) => event.approval ?? '',
      updated_at: when,
      logs: withLog('info', 'asked'),
    }),
    resume: assign({ approval: null, updated_at: when, logs: withLog('info', 'resumed') }),
    complete: assign({
      ...ending,
      result: ({ event }) => event.result ?? null,
      logs: withLog('info', 'completed'),
    }),
    fail: assign({
      ...ending,
      result: ({ event }) => event.result ?? null,
      logs: withLog('error', 'failed'),
    }),
    cancel: assign({
      ...ending,
      result: ({ event }) => event.result ?? null,
      logs: withLog('info', 'cancelled'),
    }),
    log: assign({
      updated_at: when,
      logs: (given) =>
        logged(given, {
          timestamp: given.event.timestamp ?? given.event.ts,
          level: given.event.level ?? 'info',
          type: given.event.kind ?? '',
          message: given.event.message ?? '',
        }),
    }),
    clear: assign({ description: null, result: null, logs: [], updated_at: when }),
  },
}).createMachine({
  id: 'run',
  version: '1',
  context: {
    description: null,
    agent: null,
    created_at: null,
    started_at: null,
    updated_at: null,
    completed_at: null,
    result: null,
    attempts: 0,
    approval: null,
    logs: [],
  },
  initial: 'queued',
  on: {
    LABELLED: { actions: 'label' },
    LOGGED: { actions: 'log' },
    DELETED: { target: '.deleted', actions: 'clear' },
  },
  states: {
    queued: {
      on: {
        CREATED: { actions: 'create' },
        BEGUN: { target: 'running', actions: 'begin' },
        // An answer may be seen in the room where the run that made it is not known.
        COMPLETED: { target: 'completed', actions: 'complete' },
        FAILED: { target: 'failed', actions: 'fail' },
        CANCELLED: { target: 'cancelled', actions: 'cancel' },
      },
    },
    running: {
      on: {
        BEGUN: { actions: 'begin' },
        WAITING: { target: 'queued', actions: 'wait' },
        ATTEMPT_FAILED: { target: 'queued', actions: 'attemptFailed' },
        ASKED: { target: 'awaitingApproval', actions: 'ask' },
        COMPLETED: { target: 'completed', actions: 'complete' },
        FAILED: { target: 'failed', actions: 'fail' },
        CANCELLED: { target: 'cancelled', actions: 'cancel' },
      },
    },
    awaitingApproval: {
      on: {
        // Whoever takes the run over joins it, and it still waits.
        BEGUN: { actions: 'begin' },
        WAITING: { target: 'queued', actions: 'wait' },
        ATTEMPT_FAILED: { target: 'queued', actions: 'attemptFailed' },
        ASKED: { actions: 'ask' },
        RESUMED: { target: 'running', actions: 'resume' },
        COMPLETED: { target: 'completed', actions: 'complete' },
        FAILED: { target: 'failed', actions: 'fail' },
        CANCELLED: { target: 'cancelled', actions: 'cancel' },
      },
    },
    completed: {},
    failed: {},
    cancelled: {},
    deleted: { on: { LABELLED: {}, LOGGED: {}, DELETED: {} } },
  },
});

/** A run that is over leaves the documents so long after its last event, milliseconds, unless told otherwise. */
export const ARCHIVE_AFTER_MS = 7 * 24 * 3600_000;

export const runOptions = (archiveAfterMs = ARCHIVE_AFTER_MS): MachineOptions => ({
  archive: { afterMs: archiveAfterMs, states: ['completed', 'failed', 'cancelled', 'deleted'] },
  events: {
    CREATED: ['description', 'agent', 'at'],
    LABELLED: ['description', 'agent'],
    BEGUN: ['agent', 'at'],
    ASKED: ['approval'],
    RESUMED: ['approval'],
    COMPLETED: ['result', 'at'],
    FAILED: ['result', 'at'],
    CANCELLED: ['result', 'at'],
    LOGGED: ['timestamp', 'level', 'kind', 'message'],
  },
});
