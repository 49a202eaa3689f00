/** What became of events handed to `node.once`, since the start. */
export class OnceCounters {
  heard = 0;
  /** Handed over again: known, or done here lately. */
  again = 0;
  /** The handler resolved here. */
  handled = 0;
  /** Another replica did it, now or earlier. */
  elsewhere = 0;
  /** Runs of the handler that threw: tried again here or elsewhere. */
  failed = 0;
  /** Given up on this replica after so many runs that threw or died with their process. */
  givenUp = 0;
  /** Times that no authority decided and an event waits. */
  waited = 0;
  /** Handled without the word of an authority: another replica may have done the same. */
  unguarded = 0;
  /** The handler resolved when another replica had been given the event: both may have handled it. */
  overtaken = 0;
  /** Older than is remembered: not handled, because it may have been. */
  tooOld = 0;
  /** No event with an id, or larger than events are. */
  malformed = 0;
  /** No room: more is waiting than is kept. */
  refused = 0;
}
