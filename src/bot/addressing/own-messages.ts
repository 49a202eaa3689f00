import { KeyedStoreError } from '../../keyed/errors.js';
import { messageKey, threadKey } from '../../keyed/namespaces/channel-key.js';
import type { SentMessage } from '../../keyed/namespaces/sent-messages.js';
import type { ThreadParticipation } from '../../keyed/namespaces/thread-participation.js';
import type { KeyedStore } from '../../keyed/store.js';
import { readMark } from '../../delivery/mark.js';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { ifShown } from '../failures.js';
import { Lacking } from '../lacking.js';
import { signsOf } from './signs.js';

type Store<V> = Pick<KeyedStore<V>, 'lookup' | 'register'>;

/** The keyed stores that spare the homeserver questions (docs/keyed-stores.md). */
export interface OwnMessageStores {
  sent: Store<SentMessage>;
  threads: Store<ThreadParticipation>;
}

/** Of a thread so many pages of 100 are read back at most. */
const MOST_PAGES = 10;
const MOST_FOREIGN = 1000;

/**
 * Which messages are ours, and in which threads we take part. The stores are an economy: what they do not know is asked of
 * the homeserver, so that replicas that remember different things still judge alike (docs/decisions/0019).
 */
export class OwnMessages {
  /** Threads that were read and had nothing of ours; what we write there later is read here ({@link read}). */
  private readonly foreign = new Set<string>();
  private readonly threads: Lacking;

  constructor(
    private readonly deps: {
      stores: OwnMessageStores;
      homeserver: Pick<Homeserver, 'event' | 'thread'>;
      clock: Clock;
      log: Log;
      self: string;
    },
  ) {
    this.threads = new Lacking(deps.clock);
  }

  /** Every message of ours that is read, on every replica: the same entry wherever, by the message's own time. */
  read(room: string, event: RoomEvent): void {
    const { self, stores } = this.deps;
    const relation = event.content['m.relates_to'] as { rel_type?: unknown } | undefined;
    if (event.sender !== self || event.type !== 'm.room.message' || relation?.rel_type === 'm.replace')
      return;
    const { thread } = signsOf(event, self);
    const source = readMark(event.content)?.source;
    const options = { at: event.origin_server_ts, cause: event.event_id };
    this.keep(() =>
      stores.sent.register(messageAt(room, event.event_id), source === undefined ? {} : { source }, options),
    );
    if (thread === undefined) return;
    this.foreign.delete(place(room, thread));
    this.keep(() => stores.threads.register(threadAt(room, thread), {}, options));
  }

  /** True when that event is a message of ours. Rejects with {@link HomeserverError} while nobody can tell. */
  async isOurs(room: string, event: string, signal: AbortSignal): Promise<boolean> {
    if (this.knownOurs(room, event)) return true;
    const found = await ifShown(() => this.deps.homeserver.event(room, event, signal));
    if (found === undefined || found.sender !== this.deps.self || found.type !== 'm.room.message')
      return false;
    this.read(room, found);
    return true;
  }

  /** True when we wrote the root of that thread, or anything in it. Rejects as {@link isOurs}. */
  async takesPart(room: string, root: string, signal: AbortSignal): Promise<boolean> {
    if (this.knownThread(room, root)) return true;
    if (this.foreign.has(place(room, root))) return false;
    const { homeserver, self } = this.deps;
    const isOurs = ({ sender }: RoomEvent) => sender === self;
    const found = await ifShown(() => homeserver.event(room, root, signal));
    if (found === undefined) return false;
    if (!isOurs(found) && !(await this.wroteIn(room, root, isOurs, signal))) {
      this.remember(place(room, root));
      return false;
    }
    this.keep(() => this.deps.stores.threads.register(threadAt(room, root), {}));
    return true;
  }

  /**
   * Read from the thread itself: Synapse (1.163) keeps the `current_user_participated` of its summary as it was first
   * asked for, also after we have written there.
   */
  private async wroteIn(
    room: string,
    root: string,
    isOurs: (event: RoomEvent) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    let from: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const at = from === undefined ? {} : { from };
      const read = await this.threads.orNone(
        () => ifShown(() => this.deps.homeserver.thread(room, root, at, signal)),
        undefined,
      );
      if (read === undefined) return false;
      if (read.chunk.some(isOurs)) return true;
      if (read.end === undefined || read.end === from) return false;
      from = read.end;
    }
    return false;
  }

  private remember(thread: string): void {
    this.foreign.add(thread);
    const [oldest] = this.foreign;
    if (this.foreign.size > MOST_FOREIGN && oldest !== undefined) this.foreign.delete(oldest);
  }

  knownOurs(room: string, event: string): boolean {
    return this.known(() => this.deps.stores.sent.lookup(messageAt(room, event)));
  }

  knownThread(room: string, root: string): boolean {
    return this.known(() => this.deps.stores.threads.lookup(threadAt(room, root)));
  }

  private known(lookup: () => object | undefined): boolean {
    try {
      return lookup() !== undefined;
    } catch (error) {
      // The ids are another's: too long for a key, they are in no store.
      if (!(error instanceof KeyedStoreError)) throw error;
      return false;
    }
  }

  /** What a store refuses is asked of the homeserver again: nothing hangs on it. */
  private keep(register: () => boolean): void {
    try {
      register();
    } catch (error) {
      if (!(error instanceof KeyedStoreError)) throw error;
      this.deps.log.warn({ code: error.code }, 'a message of ours could not be remembered');
    }
  }
}

const place = (room: string, thread: string): string => `${room} ${thread}`;
const messageAt = (room: string, message: string) =>
  messageKey({ surface: 'matrix', channel: room, message });
const threadAt = (room: string, thread: string) => threadKey({ surface: 'matrix', channel: room, thread });
