import { type Decided, type PlatformClient, PlatformError, type Verdict } from '../../platform/client.js';
import { stepKey } from '../surface/platform-key.js';
import type { OpenRequests } from './open-requests.js';
import { type ApprovalRequest, decidedText } from './request.js';

/** Who decides, and what for: the reaction or message. */
export interface Decider {
  cause: string;
  room: string;
  person: string;
  signal: AbortSignal;
  /** Throws where this work was taken over or the timeline must be read again (PROTOCOL D5). */
  fresh: () => void;
}

/**
 * Brings decisions to the platform, which takes the first one (PROTOCOL P5). Keyed by the reaction or message, so that
 * whoever takes it over finds its own decision standing, and tells nobody that somebody else was first.
 */
export class Decisions {
  constructor(
    private readonly deps: {
      platform: Pick<PlatformClient, 'decide'>;
      requests: Pick<OpenRequests, 'consume'>;
      isAdmin: (mxid: string) => boolean;
    },
  ) {}

  /** The person whose prompt it was, and admins. */
  mayDecide({ person }: ApprovalRequest, who: string): boolean {
    return person === who || this.deps.isAdmin(who);
  }

  /** The decision that holds; `over` where there can be none any more. */
  async decide(request: ApprovalRequest, decision: Verdict, decider: Decider): Promise<Decided | 'over'> {
    const { cause, room, person, signal, fresh } = decider;
    fresh();
    const key = stepKey(cause, 'decide');
    const run = stepKey(request.source, 'send');
    const asked = { decision, by: person };
    const decided = await this.deps.platform
      .decide(key, run, request.approval, asked, signal)
      .catch((error: unknown) => whenOver(error));
    // Only now: killed before, the entry still stands.
    this.deps.requests.consume(room, request.event);
    return decided;
  }
}

function whenOver(error: unknown): 'over' {
  if (error instanceof PlatformError && error.code === 'refused' && OVER.has(error.reason)) return 'over';
  throw error;
}

const OVER = new Set<string | undefined>(['approval-over', 'no-such-approval']);

/** What a person hears whose decision is not the one that holds. */
export const tooLate = (decided: Decided | 'over'): string =>
  decided === 'over' ? 'This question is no longer open.' : `Already decided: ${decidedText(decided)}`;
