import type { Attempts } from './attempts.js';
import { isEditedAway } from './edits.js';
import { formTaken } from './forms.js';
import type { Source } from './source.js';

export interface TakingUpDeps {
  attempts: Pick<Attempts, 'forms'>;
  /** It goes to the room's agent. */
  asksAgent: (source: Source) => boolean;
  /** Whether an edit of what was taken up before is still owed an answer of its own. */
  isOwed: (source: Source, signal: AbortSignal) => Promise<boolean>;
  /** Ends what the agent or a command may have under way for it, whichever replica began it. */
  withdraw: (source: Source, signal: AbortSignal) => Promise<void>;
  /** Closes what its run asked people. */
  closeQuestions: (source: Source, signal: AbortSignal) => Promise<void>;
}

/**
 * In which form a message is taken up, and whether anything of it is left to answer (PROTOCOL C1). Until its first
 * attempt is written it is what its sender made of it last; from then on it is what that attempt names, on every
 * replica, and under the platform's key in any case what was asked first (PROTOCOL P1).
 */
export class TakingUp {
  constructor(private readonly deps: TakingUpDeps) {}

  /** Settles the form that counts now; true where there is nothing left to answer. */
  async isGone(source: Source, signal: AbortSignal): Promise<boolean> {
    const { attempts, asksAgent, isOwed, withdraw, closeQuestions } = this.deps;
    if (source.ref.kind !== 'message') return source.dropped;
    if (source.settled === 'dropped' || source.settled === 'forbidden') return true;
    const forms = attempts.forms(source.ref);
    if (forms.length > 0) source.taken = formTaken(forms, source.edits) ?? null;
    else source.taken = source.edits.newest ?? null;
    if (source.dropped) {
      // Another replica may have begun it without a word of it having come here.
      const mayBeBegun = forms.length > 0 || source.takenOver;
      if (source.attempt !== undefined && !asksAgent(source)) return false;
      if (mayBeBegun) await withdraw(source, signal);
      await closeQuestions(source, signal);
      return true;
    }
    if (forms.length > 0) return false;
    if (source.taken && isEditedAway(source.taken)) return true;
    return source.target !== undefined && !(await isOwed(source, signal));
  }

  /** A question that came to stand when it was settled already is closed: nobody follows its run. */
  async closeLeft(source: Source, signal: AbortSignal): Promise<void> {
    if (source.settled !== undefined) await this.deps.closeQuestions(source, signal);
  }

  /** The bot was taken out of the room: what the agent has under way for it is ended. */
  async giveUp(source: Source, signal: AbortSignal): Promise<void> {
    const isBegun = this.deps.attempts.forms(source.ref).length > 0;
    if (isBegun && this.deps.asksAgent(source)) await this.deps.withdraw(source, signal);
  }

  /** Its sender has made something else of it since its form was settled; for a look before its first attempt. */
  isBehind(source: Source): boolean {
    if (source.attempt !== undefined || this.deps.attempts.forms(source.ref).length > 0) return false;
    return source.dropped || (source.edits.newest?.id ?? null) !== (source.taken?.id ?? null);
  }
}
