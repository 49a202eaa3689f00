import { KeyedStoreError } from '../../keyed/errors.js';
import { messageKey } from '../../keyed/namespaces/channel-key.js';
import type { InteractivePrompt } from '../../keyed/namespaces/interactive-prompts.js';
import type { KeyedStore } from '../../keyed/store.js';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import type { Source } from '../source.js';

export type PromptStore = Pick<KeyedStore<InteractivePrompt>, 'lookup' | 'register' | 'consume'>;

/** A list of ours as it stands in a room: what it offers, and the message that it answers. */
export interface ShownList {
  room: string;
  event: RoomEvent;
  source: string;
  names: string[];
}

/** Choices that an entry of the store names at most. */
const MOST_CHOICES = 25;

/**
 * For whom a list was made: whoever sent the message that it answers. The store spares a request, and consumes an entry
 * once one was chosen; what it does not hold is asked of the homeserver, so that replicas that remember different things
 * judge alike (PROTOCOL P5).
 */
export class ListAskers {
  constructor(
    private readonly deps: {
      prompts: PromptStore;
      homeserver: Pick<Homeserver, 'event'>;
      /** A source that this replica has in memory. */
      known: (id: string) => Pick<Source, 'ref'> | undefined;
      log: Log;
    },
  ) {}

  /** Every list that is read, on every replica. Of one whose message is not in memory the asker is asked for later. */
  read(list: ShownList): void {
    const ref = this.deps.known(list.source)?.ref;
    // A source that is known by our own answer to it alone stands under our own name.
    const isAsked = ref?.kind === 'message' && ref.room === list.room && ref.sender !== list.event.sender;
    if (isAsked) this.remember(list, ref.sender);
  }

  /** Rejects with {@link HomeserverError} while nobody can tell. */
  async of(list: ShownList, signal: AbortSignal): Promise<string> {
    const { prompts, homeserver } = this.deps;
    const known = prompts.lookup(keyOf(list.room, list.event.event_id))?.person;
    if (known !== undefined) return known;
    const { sender } = await homeserver.event(list.room, list.source, signal);
    this.remember(list, sender);
    return sender;
  }

  /** One was chosen. */
  consume(room: string, event: string): void {
    this.deps.prompts.consume(keyOf(room, event));
  }

  /** The same entry on every replica, by the event's own time. What the store refuses is asked of the homeserver. */
  private remember({ room, event, source, names }: ShownList, person: string): void {
    const choices = names.slice(0, MOST_CHOICES).map((_, i) => String(i + 1));
    try {
      this.deps.prompts.register(
        keyOf(room, event.event_id),
        { kind: 'buttons', source, person, choices },
        { at: event.origin_server_ts, cause: event.event_id },
      );
    } catch (error) {
      if (!(error instanceof KeyedStoreError)) throw error;
      this.deps.log.warn({ code: error.code }, 'a list of ours could not be remembered');
    }
  }
}

const keyOf = (room: string, message: string) => messageKey({ surface: 'matrix', channel: room, message });
