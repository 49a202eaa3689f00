import { HomeserverError } from '../../matrix/homeserver.js';
import type { PlatformClient } from '../../platform/client.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { Questions, type QuestionDeps } from '../approvals/questions.js';
import { openSteps } from '../approvals/request.js';
import { deadline } from '../failures.js';
import type { Records } from '../records.js';
import type { Source } from '../source.js';
import { stepKey } from './platform-key.js';
import { throughOutages } from './outages.js';
import type { Healing } from './healing.js';
import type { Rooms } from './rooms.js';

export interface WithdrawalDeps extends QuestionDeps {
  platform: PlatformClient;
  records: Records;
  rooms: Rooms;
  healing: Pick<Healing, 'home'>;
  clock: Clock;
  log: Log;
  asksAgent: (source: Source) => boolean;
}

const ECHO_MS = 500;

/**
 * A message that may have been begun was redacted: its run is ended, whichever replica follows it, and one that is not
 * begun is ended before it can; of a command that may have made a room, and of a message whose text is gone, the
 * ledger says that it is dropped (PROTOCOL P3). Both are idempotent, so whoever comes next does them again.
 */
export class Withdrawal {
  constructor(private readonly deps: WithdrawalDeps) {}

  async withdraw(source: Source, signal: AbortSignal): Promise<void> {
    const { platform, records, rooms, healing, asksAgent } = this.deps;
    const waits = (is: boolean) => {
      source.waiting = is;
      return Promise.resolve();
    };
    try {
      const cancel = () => platform.cancel(stepKey(source.id, 'send'), signal);
      await throughOutages(this.deps, { signal, waits }, cancel);
    } finally {
      source.waiting = false;
    }
    const { sender } = source.ref;
    if (asksAgent(source) || records.user(sender)?.space_id === undefined) return;
    const { space } = await healing.home(sender, signal);
    await rooms.drop(source.id, space, signal);
  }

  /** Nobody follows the run that asked; resolves once the room shows every question of it closed. */
  async closeQuestions(source: Source, signal: AbortSignal): Promise<void> {
    if (openSteps(source.events).length === 0) return;
    const isOver = source.settled === 'answered' ? 'the answer is there' : 'it is over';
    const why = source.dropped ? 'the message was deleted' : isOver;
    await new Questions(this.deps, source, signal).over(`Closed: ${why}.`);
    const echo = AbortSignal.any([signal, deadline(this.deps.clock, ECHO_MS)]);
    while (openSteps(source.events).length > 0) {
      if (echo.aborted)
        throw new HomeserverError('unreachable', 'a closed question is not in the timeline yet');
      await source.changed(echo);
    }
  }
}
