import type { ActorSnapshot } from '../../actors/snapshot.js';
import type { RunContext } from '../../tasks/run-machine.js';
import type { BotActors } from '../records.js';
import type { Source } from '../source.js';
import type { ConversationContext } from './conversation.js';
import type { OnboardingContext } from './onboarding.js';
import { conversationKey, onboardingKey, runKey } from './recorder.js';

/** Where the run of a source stands, whichever replica began it. */
export interface RunStanding {
  /** When it was first begun, milliseconds. */
  readonly since: number | undefined;
  /** It waits for an approval. */
  readonly asks: boolean;
}

/**
 * What a replica that takes something over knows at once, from the bot's actors. It decides what is shown and what
 * need not be looked up again, never what is sent as an answer: that is decided by room and ledger (PROTOCOL D, P).
 */
export class ActorReader {
  constructor(private readonly actors: Pick<BotActors, 'exists' | 'snapshot'>) {}

  run(source: Pick<Source, 'id' | 'ref'>): RunStanding {
    const run = this.active(runKey(source));
    const conversation = this.active(conversationKey(source.ref.room));
    const { started_at: since } = (run?.context ?? {}) as Partial<RunContext>;
    const { prompt } = (conversation?.context ?? {}) as Partial<ConversationContext>;
    return {
      since: since ?? undefined,
      // A run that was passed on waits in its queue; its conversation knows that it asks.
      asks: asks(run) || (asks(conversation) && prompt === source.id),
    };
  }

  /** The person's space, where that step of their way in was made; as good as their record, which is written later. */
  spaceOf(person: string): string | undefined {
    const { space } = (this.active(onboardingKey(person))?.context ?? {}) as Partial<OnboardingContext>;
    return space ?? undefined;
  }

  /** Undefined where it has no event, or stands still. */
  private active(key: string): ActorSnapshot | undefined {
    if (!this.actors.exists(key)) return undefined;
    const snapshot = this.actors.snapshot(key);
    return snapshot.status === 'active' ? snapshot : undefined;
  }
}

const asks = (snapshot: ActorSnapshot | undefined): boolean => snapshot?.value === 'awaitingApproval';
