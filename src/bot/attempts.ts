import type { Recorder } from './actors/recorder.js';
import { formName } from './edits.js';
import { formsOf } from './forms.js';
import type { Presence } from './presence.js';
import type { Records } from './records.js';
import type { Source, SourceRef } from './source.js';

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
    private readonly recorder: Recorder,
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

  /** The forms in which it was begun, by whichever replica: a name of the edit, or empty for the first form. */
  forms(source: SourceRef): string[] {
    return formsOf(this.records.attempts(source).keys());
  }

  /** Durable before the run begins. Resolves to the attempt's id, which names the form that was taken up. */
  async begin(source: Source): Promise<string> {
    this.n += 1;
    const form = source.taken ? `/${formName(source.taken.id)}` : '';
    const attempt = `${this.self.replica}/${this.self.incarnation}/${this.n}${form}`;
    await this.records.attempt(source.ref, attempt, 'begun', this.recorder.begun(source, attempt));
    return attempt;
  }

  /** Goes on with an attempt that ended in an outage; durable before the run goes on. */
  resume(source: Source, attempt: string): Promise<void> {
    return this.records.attempt(source.ref, attempt, 'begun', this.recorder.begun(source, attempt));
  }

  async end(source: Source, attempt: string, outcome: 'outage' | 'failed'): Promise<void> {
    if (outcome === 'outage') source.outages += 1;
    // Nothing is written of somebody who was forgotten.
    if (this.records.forgotten(source.ref)) return;
    const events = this.recorder.attemptEnded(source, attempt, outcome);
    await this.records.attempt(source.ref, attempt, outcome, events);
  }

  private underWay(attempt: string, source: string): boolean {
    const [replica, incarnation] = attempt.split('/');
    if (replica === this.self.replica) return incarnation === this.self.incarnation;
    const peer = this.presence.states().get(replica ?? '');
    return peer?.connected === true && peer.begun.has(source);
  }
}
