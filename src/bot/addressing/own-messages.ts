import { KeyedStoreError } from '../../keyed/errors.js';
import { messageKey, threadKey } from '../../keyed/namespaces/channel-key.js';
import type { SentMessage } from '../../keyed/namespaces/sent-messages.js';
import type { ThreadParticipation } from '../../keyed/namespaces/thread-participation.js';
import type { KeyedStore } from '../../keyed/store.js';
import { readMark } from '../../delivery/mark.js';
import { type Homeserver, HomeserverError, type RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import { signsOf } from './signs.js';

type Store<V> = Pick<KeyedStore<V>, 'lookup' | 'register'>;

/** The keyed stores that spare the homeserver questions (docs/keyed-stores.md). */
export interface OwnMessageStores {
  sent: Store<SentMessage>;
  threads: Store<ThreadParticipation>;
}

/**
 * Which messages are ours, and in which threads we take part. The stores are an economy: what they do not know is asked of
 * the homeserver, so that replicas that remember different things still judge alike (docs/decisions/0019).
 */
export class OwnMessages {
  constructor(
    private readonly deps: {
      stores: OwnMessageStores;
      homeserver: Pick<Homeserver, 'event'>;
      log: Log;
      self: string;
    },
  ) {}

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
    if (thread !== undefined) this.keep(() => stores.threads.register(threadAt(room, thread), {}, options));
  }

  /** True when that event is a message of ours. Rejects with {@link HomeserverError} while nobody can tell. */
  async isOurs(room: string, event: string, signal: AbortSignal): Promise<boolean> {
    if (this.knownOurs(room, event)) return true;
    const found = await this.ask(room, event, signal);
    if (found === undefined || found.sender !== this.deps.self || found.type !== 'm.room.message')
      return false;
    this.read(room, found);
    return true;
  }

  /** True when we wrote the root of that thread, or anything in it. Rejects as {@link isOurs}. */
  async takesPart(room: string, root: string, signal: AbortSignal): Promise<boolean> {
    if (this.knownThread(room, root)) return true;
    const found = await this.ask(room, root, signal);
    if (found === undefined || !(found.sender === this.deps.self || participated(found))) return false;
    this.keep(() => this.deps.stores.threads.register(threadAt(room, root), {}));
    return true;
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

  /** Undefined when the homeserver shows us no such event in that room. */
  private async ask(room: string, event: string, signal: AbortSignal): Promise<RoomEvent | undefined> {
    try {
      return await this.deps.homeserver.event(room, event, signal);
    } catch (error) {
      const { code, detail } = error instanceof HomeserverError ? error : { code: undefined, detail: {} };
      if (code === 'refused' && detail.status !== 401) return undefined;
      throw error;
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

/** What the homeserver says of a thread with its root (Matrix spec, bundled aggregations of threads). */
function participated(root: RoomEvent): boolean {
  const relations = root.unsigned?.['m.relations'] as Record<string, unknown> | undefined;
  const thread = relations?.['m.thread'] as { current_user_participated?: unknown } | undefined;
  return thread?.current_user_participated === true;
}

const messageAt = (room: string, message: string) =>
  messageKey({ surface: 'matrix', channel: room, message });
const threadAt = (room: string, thread: string) => threadKey({ surface: 'matrix', channel: room, thread });
