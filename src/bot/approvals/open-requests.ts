import { KeyedStoreError } from '../../keyed/errors.js';
import type { ApprovalReaction } from '../../keyed/namespaces/approval-reactions.js';
import { messageKey } from '../../keyed/namespaces/channel-key.js';
import type { KeyedStore } from '../../keyed/store.js';
import type { Homeserver, RoomEvent } from '../../matrix/homeserver.js';
import type { Log } from '../../telemetry/log.js';
import { ifShown } from '../failures.js';
import { type ApprovalRequest, OFFERED, readRequest } from './request.js';

export type ApprovalStore = Pick<KeyedStore<ApprovalReaction>, 'lookup' | 'register' | 'consume'>;

/** Events of which is remembered that they are no question; of others a reaction's target is asked for. */
const MOST_OTHERS = 5000;

/**
 * Which events are questions of ours. The store spares a request, and consumes an entry once its question is decided;
 * what it does not hold is read from the event itself, so that replicas that remember different things judge alike.
 */
export class OpenRequests {
  private readonly others = new Set<string>();

  constructor(
    private readonly deps: {
      store: ApprovalStore;
      homeserver: Pick<Homeserver, 'event'>;
      self: string;
      log: Log;
      happened?: ((event: string, outcome: string) => void) | undefined;
    },
  ) {}

  /** Every event that is read, on every replica. */
  read(room: string, event: RoomEvent): void {
    const request = readRequest(event, this.deps.self);
    if (request !== undefined) return this.remember(room, request, event);
    if (event.type === 'm.reaction') return;
    this.others.add(event.event_id);
    for (const oldest of this.others) {
      if (this.others.size <= MOST_OTHERS) break;
      this.others.delete(oldest);
    }
  }

  /** False where it is known, without asking anybody, that the event is no question of ours. */
  mayBe(event: string): boolean {
    return !this.others.has(event);
  }

  /** The question that an event is. Rejects with {@link HomeserverError} while nobody can tell. */
  async find(room: string, event: string, signal: AbortSignal): Promise<ApprovalRequest | undefined> {
    const known = this.known(room, event);
    if (known !== undefined) return known;
    if (this.others.has(event)) return undefined;
    const found = await this.ask(room, event, signal);
    if (found === undefined) return undefined;
    const request = readRequest(found, this.deps.self);
    if (request === undefined) this.read(room, found);
    return request;
  }

  /** As the homeserver shows it; undefined where it shows us no such event. */
  ask(room: string, event: string, signal: AbortSignal): Promise<RoomEvent | undefined> {
    this.deps.happened?.('reaction-target', 'asked');
    return ifShown(() => this.deps.homeserver.event(room, event, signal));
  }

  /** It was decided on, which the platform knows from now on. */
  consume(room: string, event: string): void {
    this.deps.store.consume(keyOf(room, event));
  }

  private known(room: string, event: string): ApprovalRequest | undefined {
    const entry = this.deps.store.lookup(keyOf(room, event));
    if (entry?.source === undefined || entry.person === undefined) return undefined;
    const { source, approval, person } = entry;
    return { event, source, approval, person };
  }

  /** The same entry on every replica, by the event's own time. What the store refuses is read from the event. */
  private remember(
    room: string,
    { event, source, approval, person }: ApprovalRequest,
    read: RoomEvent,
  ): void {
    const decisions = Object.fromEntries(OFFERED.map(({ key, verdict }) => [key, verdict]));
    try {
      this.deps.store.register(
        keyOf(room, event),
        { approval, source, person, decisions },
        { at: read.origin_server_ts, cause: event },
      );
    } catch (error) {
      if (!(error instanceof KeyedStoreError)) throw error;
      this.deps.log.warn({ code: error.code }, 'a question of ours could not be remembered');
    }
  }
}

const keyOf = (room: string, message: string) => messageKey({ surface: 'matrix', channel: room, message });
