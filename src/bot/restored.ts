import { type Homeserver, HomeserverError } from '../matrix/homeserver.js';
import { isRefused } from '../matrix/refusal.js';
import type { Log } from '../telemetry/log.js';
import { type Clock, sleep } from '../time/clock.js';
import type { Engine } from './engine.js';
import { describe, ignoreAbort } from './failures.js';
import type { JournalState } from './journal.js';
import type { Records } from './records.js';
import type { Source } from './source.js';

const PAUSE_MS = { first: 200, most: 5000 };

/**
 * What stood in the journal when this process began. It has no text, and what stands before the position comes in no
 * /sync again; so the messages are asked for one by one, or a decision would wait behind the run that waits for it
 * (PROTOCOL O6). Nothing waits for that: a message that is not shown is looked at in its turn.
 */
export class Restored {
  private readonly unread = new Set<Source>();

  constructor(
    private readonly deps: {
      engine: Pick<Engine, 'add'>;
      journal: { readonly state: JournalState };
      records: Pick<Records, 'marked'>;
      homeserver: Pick<Homeserver, 'event'>;
      clock: Clock;
      log: Log;
      /** Our own mxid. */
      self: string;
      classify: (source: Source) => void;
    },
  ) {}

  /** Makes its sources known, in their order. */
  add(): void {
    const { engine, journal, records, self } = this.deps;
    for (const { ref, frozen } of journal.state.sources.values()) {
      const source = engine.add(ref, { whole: false, stale: true });
      for (const answer of frozen) source.hold(answer);
      // Of what is settled, or known by a note of ours to it, a repair may be owed.
      source.ahead = ref.kind !== 'message' || ref.sender === self || records.marked(ref);
      if (!source.ahead) this.unread.add(source);
    }
  }

  /** Resolves when each was read or cannot be, or at the signal. */
  async read(signal: AbortSignal): Promise<void> {
    let pause = PAUSE_MS.first;
    while (!signal.aborted) {
      const [source] = this.unread;
      if (source === undefined) return;
      // One that fails comes again behind the others.
      this.unread.delete(source);
      const wait = await this.learn(source, signal);
      if (wait === undefined) {
        pause = PAUSE_MS.first;
        continue;
      }
      this.unread.add(source);
      await sleep(this.deps.clock, Math.max(wait, pause), signal).catch(ignoreAbort(signal));
      pause = Math.min(2 * pause, PAUSE_MS.most);
    }
  }

  /** Ms after which it is to be tried again; undefined: done with. */
  private async learn(source: Source, signal: AbortSignal): Promise<number | undefined> {
    const { homeserver, classify, log } = this.deps;
    if (source.settled !== undefined) return undefined;
    try {
      if (source.event === undefined)
        source.learn(await homeserver.event(source.ref.room, source.id, signal));
      classify(source);
    } catch (error) {
      if (signal.aborted || isRefused(error)) return undefined;
      if (error instanceof HomeserverError) return error.detail.retryAfterMs ?? 0;
      log.error({ source: source.id, error: describe(error) }, 'a source of the journal could not be read');
    }
    return undefined;
  }
}
