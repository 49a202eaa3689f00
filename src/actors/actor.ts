import type { Cause } from '../documents/write.js';
import type { LoggedEvent } from './event.js';
import type { ActorLog } from './log.js';
import type { ActorEvent } from './plan.js';
import type { Position } from './position.js';
import type { ActorSnapshot } from './snapshot.js';
import type { ActorHandler } from './subscribers.js';

export interface SendOptions {
  /** What makes the caller send it; the event counts once per cause. */
  cause: Cause;
  /** Another id for the event, when one cause sends several. */
  id?: string;
  /** Only to an actor that has an event already; else `missing-actor`. */
  existing?: boolean;
}

export interface ActorAccess {
  snapshot(): ActorSnapshot;
  exists(): boolean;
  send(event: ActorEvent, options: SendOptions): Promise<ActorSnapshot>;
  watch(handle: ActorHandler): () => void;
  log(): ActorLog;
  snapshotOf(position: Position): ActorSnapshot;
}

/** One replicated actor: a handle, cheap to make, that always shows the present state. */
export class Actor {
  constructor(
    readonly key: string,
    private readonly access: ActorAccess,
  ) {}

  /** Where it stands now, on this replica. */
  snapshot(): ActorSnapshot {
    return this.access.snapshot();
  }

  /** It has at least one event. */
  get exists(): boolean {
    return this.access.exists();
  }

  /**
   * Takes an event: the event and the new state in one change. Resolves when that is durable here. The same cause
   * again counts once and resolves with the present state.
   *
   * @throws {ActorError} the state is untouched then.
   */
  send(event: ActorEvent, options: SendOptions): Promise<ActorSnapshot> {
    return this.access.send(event, options);
  }

  /**
   * Called once for each of its events, in order, whichever replica sent it, when all that came together has been
   * taken in; what it sends is told after that. Returns the unsubscriber.
   */
  subscribe(handle: ActorHandler): () => void {
    return this.access.watch(handle);
  }

  /** Its events in this generation and what each did; earlier ones are in the audit documents. */
  history(): { event: LoggedEvent; from: ActorSnapshot; to: ActorSnapshot; outcome: 'taken' | 'ignored' }[] {
    const { access } = this;
    return [...access.log().transitions()].map(({ event, from, to, outcome }) => ({
      event,
      from: access.snapshotOf(from),
      to: access.snapshotOf(to),
      outcome,
    }));
  }

  /**
   * Where it stood at a time, milliseconds: after all events stamped up to then. Undefined before its first event, and
   * for a time before its generation began: `node.historyAt` knows of that.
   */
  at(time: number): ActorSnapshot | undefined {
    const log = this.access.log();
    if (time < (log.base?.stamp ?? 0)) return undefined;
    let found = log.base?.position;
    for (const { event, to } of log.transitions()) {
      if (event.stamp > time) break;
      found = to;
    }
    return found && this.access.snapshotOf(found);
  }
}
