import type { AgentDefinition } from '../agents.js';
import { BackendError, type BackendRequest, type Decision, type Invocation } from '../backends/backend.js';
import type { RunEvent } from '../client.js';
import type { Clock } from '../../time/clock.js';
import type { Approvals } from './approvals.js';
import { attachmentsOf } from './attachments.js';
import { readTurns } from './contexts.js';
import type { EventLog } from './event-log.js';
import type { RunFeed } from './feed.js';
import type { BegunRun, Runs } from './runs.js';
import type { Signals } from './signals.js';
import type { Database } from './tables.js';

/** What every run needs of the service. */
export interface RunServices {
  db: Database;
  runs: Runs;
  approvals: Approvals;
  signals: Signals;
  /** Absent where no other process can follow. */
  eventLog: EventLog | undefined;
  clock: Clock;
}

/** The run is not ours to carry out any more: cancelled, or taken over. */
export class RunLost extends Error {
  constructor() {
    super('the run is finished or with another process');
    this.name = 'RunLost';
  }
}

/** Repeats a database access through outages until it works or the run is aborted. */
export type Persist = <T>(access: () => Promise<T>) => Promise<T>;

/** The backend's view of one run: what it says goes to the feed, what it counts into the database. */
export function runRequest(
  services: RunServices,
  run: BegunRun,
  executor: string,
  agent: AgentDefinition,
  feed: RunFeed,
  persist: Persist,
): BackendRequest {
  const { runs, approvals, signals, eventLog, clock } = services;
  let invocation = 0;
  let seq = 0;

  const emit = (event: RunEvent) => {
    feed.push(event);
    eventLog?.append(run.key, invocation, seq++, event);
  };
  const begin = async (mode: 'again' | 'resume'): Promise<Invocation> => {
    const begun = await persist(() => runs.invoke(run.key, executor, mode));
    if (!begun) throw new RunLost();
    invocation = begun.number;
    seq = 0;
    feed.restart();
    return begun;
  };
  return {
    agent,
    text: run.prompt,
    number: run.number,
    attachments: () => persist(() => attachmentsOf(services.db, run.key)),
    history: (used) => persist(() => readTurns(services.db, run.context, run.position, used)),
    invoke: () => begin('again'),
    resume: () => begin('resume'),
    delta: (text) => emit({ type: 'delta', text }),
    async approval({ id, kind, question }, signal): Promise<Decision> {
      const asked = await persist(() => approvals.ask(run, id, kind));
      if (asked.isGranted) return 'approve';
      emit({ type: 'approval', id, question });
      const look = async () => {
        // Looked at before what was decided, so that no decision in between is passed over.
        const isOver = clock.now() >= asked.expiry;
        const decided = await persist(() => approvals.decided(run.key, id));
        if (!decided && isOver) {
          throw new BackendError('approval-expired', 'nobody answered the approval request in time');
        }
        return decided;
      };
      const { decision, by } = await signals.until(approvalTopic(run.key, id), look, signal);
      emit({ type: 'decided', id, decision, ...(by !== undefined && { by }) });
      return decision === 'deny' ? 'deny' : 'approve';
    },
  };
}

export const approvalTopic = (run: string, id: string) => `approval ${run} ${id}`;
