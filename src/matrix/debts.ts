import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { backoffMs } from './backoff.js';
import type { HomeserverError, JoinedRoom, RoomEvent } from './homeserver.js';

/** A room that fails slowly holds the others up while it is tried: after its second try for a tenth of the time at most. */
const PAUSES_A_TRY = 10;
const LONGEST_PAUSE_MS = 300_000;

interface Debt {
  /** Of our own writing, by type and key: what /sync told since, and tells no second time. */
  state: Map<string, RoomEvent>;
  failures: number;
  /** Monotonic milliseconds. */
  dueAt: number;
}

/**
 * Rooms of which something could not be read. They are left out of what is handed on, and the rooms beside them go on;
 * no position is stored meanwhile, because it would pass what nobody read (PROTOCOL C3). Each is tried again with
 * growing pauses, and read then as by a replica to whom it is new: from that instant back to its floor (C4). In memory
 * only: a restart begins at the stored position, before all of it.
 */
export class Debts {
  readonly #rooms = new Map<string, Debt>();

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly random: () => number,
  ) {}

  owes(room: string): boolean {
    return this.#rooms.has(room);
  }

  rooms(): string[] {
    return [...this.#rooms.keys()];
  }

  isDue(room: string): boolean {
    const debt = this.#rooms.get(room);
    return debt !== undefined && debt.dueAt <= this.clock.monotonic();
  }

  /** Milliseconds until one is to be tried again; Infinity where none is. */
  dueInMs(): number {
    const now = this.clock.monotonic();
    return Math.max(0, Math.min(...[...this.#rooms.values()].map(({ dueAt }) => dueAt)) - now);
  }

  /** It could not be read, in `tookMs`. */
  failed({ room, state }: JoinedRoom, error: HomeserverError, tookMs: number): void {
    const debt = this.#rooms.get(room) ?? { state: new Map(), failures: 0, dueAt: 0 };
    debt.failures += 1;
    const shortest = debt.failures === 1 ? 0 : Math.min(PAUSES_A_TRY * tookMs, LONGEST_PAUSE_MS);
    const pause = Math.max(backoffMs(error, debt.failures, this.random), shortest);
    debt.dueAt = this.clock.monotonic() + pause;
    this.#rooms.set(room, debt);
    this.tell(room, state);
    const fields = { room, error: error.message, failures: debt.failures };
    if (debt.failures === 1) this.log.warn(fields, 'a room cannot be read: it is left out until it can');
    else this.log.debug(fields, 'a room can still not be read');
  }

  /** What /sync told of a room that is not to be tried yet. */
  tell(room: string, state: RoomEvent[]): void {
    const known = this.#rooms.get(room)?.state;
    for (const event of state) known?.set(`${event.type} ${event.state_key ?? ''}`, event);
  }

  state(room: string): RoomEvent[] {
    return [...(this.#rooms.get(room)?.state.values() ?? [])];
  }

  /** Where it was owed: it was read and taken over, or we are in it no more. */
  settle(room: string): void {
    if (this.#rooms.delete(room)) this.log.info({ room }, 'a room that was left out is left out no more');
  }
}
