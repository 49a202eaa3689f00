import type { Presence } from './presence.js';
import type { Records } from './records.js';
import type { SourceRef } from './source.js';

/** After so many attempts the answer is a short error notice (PROTOCOL C2). */
export const MOST_ATTEMPTS = 3;

/**
 * Counts, durably and per source, the runs that died with their process or failed in the agent, so that no event
 * can kill the replicas one after another for ever (PROTOCOL C2). An outage of the homeserver or the platform and
 * a hand-over end an attempt without counting it.
 */
export class Attempts {
  private n = 0;

  constructor(
    private readonly records: Records,
    private readonly presence: Presence,
    private readonly self: { replica: string; incarnation: string },
  ) {}

  /** Attempts that count against the source: begun by a process that is no longer at work on it, or failed. */
  spent(source: SourceRef): number {
    let spent = 0;
    for (const [attempt, outcome] of this.records.attempts(source)) {
      if (outcome === 'failed' || (outcome === 'begun' && !this.underWay(attempt, source.id))) spent += 1;
    }
    return spent;
  }

  /** Durable before the run begins. Resolves to the attempt's id. */
  async begin(source: SourceRef): Promise<string> {
    this.n += 1;
    const attempt = `${this.self.replica}/${this.self.incarnation}/${this.n}`;
    await this.records.attempt(source, attempt, 'begun');
    return attempt;
  }

  /** Goes on with an attempt that ended in an outage; durable before the run goes on. */
  resume(source: SourceRef, attempt: string): Promise<void> {
    return this.records.attempt(source, attempt, 'begun');
  }

  async end(source: SourceRef, attempt: string, outcome: 'outage' | 'failed'): Promise<void> {
    await this.records.attempt(source, attempt, outcome);
  }

  private underWay(attempt: string, source: string): boolean {
    const [replica, incarnation] = attempt.split('/');
    if (replica === this.self.replica) return incarnation === this.self.incarnation;
    const peer = this.presence.states().get(replica ?? '');
    return peer?.connected === true && peer.begun.has(source);
  }
}
