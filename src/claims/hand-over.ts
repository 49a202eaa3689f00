import { PARTS } from './claim.js';
import { compareBallots, type Ballot } from './token.js';
import type { ClaimAnswer, ClaimRequest } from './wire.js';

export type AskRelay = (relay: string, request: ClaimRequest) => Promise<ClaimAnswer | undefined>;

export type HandedOver =
  | { is: 'done'; ballot: Ballot; silentMs: number }
  /** This relay did not answer: nothing has begun that doing it again would not end. */
  | { is: 'unreachable'; relay: string }
  /** A relay knows of a later change. */
  | { is: 'overtaken'; by: Ballot }
  | { is: 'refused'; relay: string; reason: string };

/** How often one question is asked: each may be asked again. */
const ATTEMPTS = 3;

/**
 * Makes another relay the authority: whoever may still hold claims is sealed for good, gives what it holds, and the new
 * one takes it before it answers anybody. Broken off anywhere it leaves nobody who answers, and is done again with a
 * higher ballot. `from` undefined: there is no old one, or it is given up; the new one is silent for the longest lease.
 */
export async function handOver(ask: AskRelay, from: Ballot | undefined, next: Ballot): Promise<HandedOver> {
  const run = new Change(ask, next);
  try {
    return { is: 'done', ballot: next, silentMs: await run.carryOut(from) };
  } catch (error) {
    if (error instanceof Broken) return error.outcome;
    throw error;
  }
}

class Broken extends Error {
  constructor(readonly outcome: Exclude<HandedOver, { is: 'done' }>) {
    super(outcome.is);
  }
}

class Change {
  constructor(
    private readonly ask: AskRelay,
    private readonly next: Ballot,
  ) {}

  async carryOut(from: Ballot | undefined): Promise<number> {
    const { next } = this;
    const silentMs = from && (await this.#takeFromAll(from));
    const assumed = await this.#asked(next.relay, {
      op: 'assume',
      next,
      ...(silentMs !== undefined && { silentMs }),
    });
    return assumed.is === 'assumed' ? assumed.silentMs : this.#unexpected(next.relay, assumed);
  }

  /** An old one that was sealed for another, in a change that was broken off, names that one: it may hold more by now. */
  async #takeFromAll(first: Ballot): Promise<number> {
    const { next } = this;
    const done = new Set<string>();
    let silentMs = 0;
    const due = [first];
    for (let from = due.pop(); from !== undefined; from = due.pop()) {
      const { relay } = from;
      if (done.has(relay)) continue;
      const sealed = await this.#asked(relay, { op: 'seal', from, next });
      if (sealed.is !== 'sealed') return this.#unexpected(relay, sealed);
      silentMs = Math.max(silentMs, sealed.silentMs);
      done.add(relay);
      for (let part = 0; part < PARTS; part += 1) await this.#move(relay, part);
      due.push(...sealed.others);
    }
    return silentMs;
  }

  async #move(from: string, part: number): Promise<void> {
    const { next } = this;
    const given = await this.#asked(from, { op: 'give', next, part });
    if (given.is !== 'given') return this.#unexpected(from, given);
    const taken = await this.#asked(next.relay, { op: 'take', next, part, claims: given.claims });
    if (taken.is !== 'taken') this.#unexpected(next.relay, taken);
  }

  async #asked(relay: string, request: ClaimRequest): Promise<ClaimAnswer> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const answer = await this.ask(relay, request);
      if (answer !== undefined) return answer;
    }
    throw new Broken({ is: 'unreachable', relay });
  }

  #unexpected(relay: string, answer: ClaimAnswer): never {
    if (answer.is !== 'refused') throw new Broken({ is: 'refused', relay, reason: answer.is });
    const { reason, authority } = answer;
    if (reason === 'not-authority' && authority !== undefined && compareBallots(authority, this.next) > 0) {
      throw new Broken({ is: 'overtaken', by: authority });
    }
    throw new Broken({ is: 'refused', relay, reason });
  }
}
