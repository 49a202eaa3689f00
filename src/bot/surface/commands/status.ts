import type { Reach } from '../../../platform/reach.js';
import type { Clock } from '../../../time/clock.js';
import type { TaskSummary } from '../../../tasks/board.js';
import { taskStatuses } from '../../../tasks/task.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

/** What a replica says of itself and of the others it sees. */
export interface StatusReport {
  replica: string;
  alive: { replica: string; candidate: boolean }[];
  relay: boolean;
  platform: Reach;
  /** Ms since the homeserver's last answer. */
  homeserverAgoMs: number;
  pending: number;
  /** Ms that the homeserver holds sends back from now on. */
  heldMs: number;
  /** Since this replica's start: how often it did, how long sends waited, how many edits were left out. */
  held: { holds: number; waitedMs: number; leftOut: number };
  tasks: TaskSummary;
  warnings: string[];
}

/** Of the tasks under way so many are named; the rest is counted. */
const MOST_NAMED = 10;

/** What stands on other people's tasks, and what only an operator can mend, is told to admins alone. */
export function statusCommand(deps: { status: () => StatusReport; clock: Clock }): Run {
  return ({ isAdmin }) => {
    const now = deps.status();
    const others = now.alive.map(({ replica, candidate }) =>
      candidate ? replica : `${replica} (not ready)`,
    );
    const lines = [
      `answered by: ${now.replica}`,
      `alive besides: ${others.length === 0 ? 'none' : others.join(', ')}`,
      `relay: ${now.relay ? 'connected' : 'out of reach, working alone'}`,
      `platform: ${reached(now.platform)}`,
      `lag: homeserver heard ${Math.round(now.homeserverAgoMs)} ms ago, ${now.pending} pending`,
      ...(now.heldMs > 0 ? [`rate limit: sends held back for ${Math.round(now.heldMs)} ms`] : []),
      counted(now.tasks),
      ...(isAdmin ? details(now, deps.clock.now()) : []),
    ];
    return Promise.resolve(notice(lines.join('\n')));
  };
}

function reached(platform: Reach): string {
  if (platform === 'not-asked') return 'not asked yet';
  if (platform === 'reached') return 'reached';
  return `out of reach for ${Math.round(platform / 1000)} s, keep trying`;
}

const words: Record<(typeof taskStatuses)[number], string> = {
  queued: 'queued',
  running: 'running',
  awaitingApproval: 'waiting for an approval',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

function counted({ counts }: TaskSummary): string {
  const parts = taskStatuses.flatMap((status) => {
    const count = counts[status] ?? 0;
    return count === 0 ? [] : [`${count} ${words[status]}`];
  });
  return `tasks: ${parts.length === 0 ? 'none' : parts.join(', ')}`;
}

function details(report: StatusReport, now: number): string[] {
  const { tasks, warnings, held } = report;
  const { underWay, unreadable } = tasks;
  const named = underWay.slice(0, MOST_NAMED).map(({ description, status, agent, started_at }) => {
    const since = started_at === null ? '' : ` for ${Math.max(0, Math.round((now - started_at) / 1000))} s`;
    return `· ${agent ?? 'no agent yet'}, ${words[status]}${since}: ${description}`;
  });
  const more = underWay.length - named.length;
  return [
    ...(held.holds > 0
      ? [
          `rate limit since my start: held ${held.holds} times, sends waited ${Math.round(held.waitedMs / 1000)} s, ${held.leftOut} edits left out`,
        ]
      : []),
    ...named,
    ...(more > 0 ? [`· and ${more} more`] : []),
    ...(unreadable > 0 ? [`warning: ${unreadable} task(s) stand still or are of a later version`] : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}
