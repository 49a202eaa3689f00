import type { Homeserver } from '../../../matrix/homeserver.js';
import type { Verdict } from '../../../platform/client.js';
import { type Decisions, tooLate } from '../../approvals/decisions.js';
import { type ApprovalRequest, decidedText, openRequests } from '../../approvals/request.js';
import type { Records } from '../../records.js';
import type { Choices } from '../choices.js';
import { eventsBefore } from '../room-history.js';
import { notice } from '../texts.js';
import type { Run } from './command.js';

const MOST_EVENTS_BACK = 1000;

export interface PendingDeps {
  homeserver: Homeserver;
  records: Pick<Records, 'genesis'>;
  decisions: Decisions;
  choices: Choices;
  self: string;
  prefix: string;
}

/**
 * `!yes` and `!no` mean the newest question before them in the timeline that nothing there closes (PROTOCOL P5), so that
 * whoever takes one over means the same; without any they are answered here, and never go to the agent.
 */
export function pendingCommand(deps: PendingDeps, answer: 'yes' | 'no'): Run {
  return async ({ source, room, person, cause, args, signal, fresh }) => {
    const verdict = verdictOf(answer, args[0]);
    if (verdict === undefined) return notice(`Write ${deps.prefix}yes, or ${deps.prefix}yes always.`);
    const list = source.event && (await deps.choices.openList(source.event, room, signal));
    if (list !== undefined)
      return notice(`The list before that waits for a number from 1 to ${list.names.length}.`);
    const request = await newestBefore(deps, room, cause.id, signal);
    if (request === undefined) return notice('Nothing is pending.');
    if (!deps.decisions.mayDecide(request, person))
      return notice(`Only ${request.person}, who asked, may decide that.`);
    const decider = { cause: cause.id, room, person, signal, fresh };
    const decided = await deps.decisions.decide(request, verdict, decider);
    if (decided === 'over' || !decided.ours) return notice(tooLate(decided));
    return notice(decidedText({ decision: decided.decision }));
  };
}

function verdictOf(answer: 'yes' | 'no', argument: string | undefined): Verdict | undefined {
  if (answer === 'no') return 'deny';
  if (argument === undefined) return 'approve';
  return argument.toLowerCase() === 'always' ? 'always' : undefined;
}

async function newestBefore(
  { homeserver, records, self }: PendingDeps,
  room: string,
  event: string,
  signal: AbortSignal,
): Promise<ApprovalRequest | undefined> {
  const genesis = records.genesis() ?? 0;
  const openAt = openRequests(self);
  let seen = 0;
  for await (const one of eventsBefore(homeserver, room, event, signal)) {
    seen += 1;
    // Of others' servers the clocks may be wrong.
    const isOld = one.sender === self && one.origin_server_ts < genesis;
    if (isOld || seen > MOST_EVENTS_BACK) return undefined;
    const request = openAt(one);
    if (request !== undefined) return request;
  }
  return undefined;
}
