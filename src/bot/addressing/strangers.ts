import { createHash } from 'node:crypto';
import type { Records } from '../records.js';
import type { Source, SourceRef } from '../source.js';

/** What people hear who may not talk to the bot: nothing, or once in a room that they may not. */
export type StrangersPolicy = 'silence' | 'notice';

/** The one notice of a person in a room: one source however often, and through whichever replica, it is said there. */
const strangerSource = (room: string, person: string): string =>
  `stranger:${createHash('sha256')
    .update(JSON.stringify([room, person]))
    .digest('base64url')}`;

/** People who may not talk to the bot. Nothing of theirs ever reaches an agent. */
export class Strangers {
  constructor(
    private readonly deps: {
      records: Records;
      policy: StrangersPolicy;
      /** Puts the notice into the engine (and the journal) and resolves to its source. */
      tell: (ref: SourceRef) => Promise<Source>;
    },
  ) {}

  /** Whether a message of theirs is looked at: it may be owed the notice. */
  heeds(ref: SourceRef): boolean {
    if (this.deps.policy === 'silence' || ref.kind !== 'message') return false;
    return !this.deps.records.marked(noticeOf(ref));
  }

  /** Resolves when the notice that is owed for a message to us stands. */
  async answer(ref: SourceRef, signal: AbortSignal): Promise<void> {
    if (!this.heeds(ref)) return;
    const notice = await this.deps.tell(noticeOf(ref));
    while (notice.settled === undefined) {
      signal.throwIfAborted();
      await notice.changed(signal);
    }
  }
}

const noticeOf = ({ room, sender, ts }: SourceRef): SourceRef => ({
  id: strangerSource(room, sender),
  room,
  sender,
  ts,
  kind: 'stranger',
});
