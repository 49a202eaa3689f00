import type { Clock } from '../../../time/clock.js';
import type { TaskSummary } from '../../../tasks/board.js';
import { taskStatuses } from '../../../tasks/task.js';
import { notice } from '../texts.js';
import type { Command } from './command.js';

/** What a replica says of itself and of the others it sees. */
export interface StatusReport {
  replica: string;
  alive: { replica: string; candidate: boolean }[];
  relay: boolean;
  /** Ms since the homeserver's last answer. */
  homeserverAgoMs: number;
  pending: number;
  heldMs: number;
  tasks: TaskSummary;
  warnings: string[];
}

/** Of the tasks under way so many are named; the rest is counted. */
const MOST_NAMED = 10;

export function statusCommand(deps: { status: () => StatusReport; clock: Clock }): Command {
  return {
    name: 'status',
    usage: 'status',
    summary: 'which replica answers, which are alive, relay, lag, tasks',
    ahead: true,
    async run() {
      const now = deps.status();
      const others = now.alive.map(({ replica, candidate }) =>
        candidate ? replica : `${replica} (not ready)`,
      );
      const lines = [
        `answered by: ${now.replica}`,
        `alive besides: ${others.length === 0 ? 'none' : others.join(', ')}`,
        `relay: ${now.relay ? 'connected' : 'out of reach, working alone'}`,
        `lag: homeserver heard ${Math.round(now.homeserverAgoMs)} ms ago, ${now.pending} pending`,
        ...(now.heldMs > 0 ? [`rate limit: sends held back for ${Math.round(now.heldMs)} ms`] : []),
        ...taskLines(now.tasks, deps.clock.now()),
        ...now.warnings.map((warning) => `warning: ${warning}`),
      ];
      return Promise.resolve(notice(lines.join('\n')));
    },
  };
}

const words: Record<(typeof taskStatuses)[number], string> = {
  queued: 'queued',
  running: 'running',
  awaitingApproval: 'waiting for an approval',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

function taskLines({ counts, underWay, unreadable }: TaskSummary, now: number): string[] {
  const counted = taskStatuses.flatMap((status) => {
    const count = counts[status] ?? 0;
    return count === 0 ? [] : [`${count} ${words[status]}`];
  });
  const named = underWay.slice(0, MOST_NAMED).map(({ description, status, agent, started_at }) => {
    const since = started_at === null ? '' : ` for ${Math.max(0, Math.round((now - started_at) / 1000))} s`;
    return `· ${agent ?? 'no agent yet'}, ${words[status]}${since}: ${description}`;
  });
  const more = underWay.length - named.length;
  return [
    `tasks: ${counted.length === 0 ? 'none' : counted.join(', ')}`,
    ...named,
    ...(more > 0 ? [`· and ${more} more`] : []),
    ...(unreadable > 0 ? [`warning: ${unreadable} task(s) stand still or are of a later version`] : []),
  ];
}
