import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { backoffMs } from './backoff.js';
import type { HomeserverError, JoinedRoom, RoomEvent } from './homeserver.js';

/** A room that fails slowly holds the others up while it is tried: after its second try for a tenth of the time at most. */
const PAUSES_A_TRY = 10;
const LONGEST_SLOW_MS = 300_000;
const LONGEST_PAUSE_MS = 60_000;
/** However many rooms are owed: so many are tried at once, and no oftener. */
const MOST_AT_ONCE = 8;
const BETWEEN_MS = 1000;

interface Debt {
  /** The position to read on from; undefined where nothing of the room was read yet. */
  from: string | undefined;
  /** Of our own writing, by type and key: what a first /sync told of it, and tells no second time. */
  state: Map<string, RoomEvent>;
  failures: number;
  /** Monotonic milliseconds. */
  dueAt: number;
  /** The receiver keeps it, so that a stored position may pass it. */
  kept: boolean;
}

/**
 * Rooms of which something could not be read. They are left out of what is handed on, and the rooms beside them go on;
 * each is tried again, ever more rarely, from the position on behind which nothing of it was read (PROTOCOL C3). One that
 * was never read is read as it would have been at first, back to its floor (C4), and no position is stored meanwhile.
 */
export class Debts {
  readonly #rooms = new Map<string, Debt>();
  #triedAt = -Infinity;

  constructor(
    private readonly deps: { clock: Clock; log: Log; random: () => number },
    /** Those kept from before: the position of each. */
    kept: ReadonlyMap<string, string> = new Map(),
  ) {
    for (const [room, from] of kept)
      this.#rooms.set(room, { from, state: new Map(), failures: 0, dueAt: 0, kept: true });
  }

  owes(room: string): boolean {
    return this.#rooms.has(room);
  }

  rooms(): string[] {
    return [...this.#rooms.keys()];
  }

  from(room: string): string | undefined {
    return this.#rooms.get(room)?.from;
  }

  /** No position may be stored, were those rooms settled: it would pass a room that was never read. */
  holdPosition(settled: ReadonlySet<string>): boolean {
    return [...this.#rooms].some(([room, { from }]) => from === undefined && !settled.has(room));
  }

  /** What the receiver is to keep, with the position that passes it. */
  unkept(): { room: string; from: string }[] {
    return [...this.#rooms].flatMap(([room, { from, kept }]) =>
      kept || from === undefined ? [] : [{ room, from }],
    );
  }

  kept(rooms: readonly { room: string }[]): void {
    for (const { room } of rooms) {
      const debt = this.#rooms.get(room);
      if (debt !== undefined) debt.kept = true;
    }
  }

  /** Those to be tried now, who waits longest first. */
  due(): string[] {
    if (this.dueInMs() > 0) return [];
    const now = this.deps.clock.monotonic();
    const due = [...this.#rooms].filter(([, { dueAt }]) => dueAt <= now);
    this.#triedAt = now;
    const inOrder = due.toSorted(([, one], [, other]) => one.dueAt - other.dueAt);
    return inOrder.slice(0, MOST_AT_ONCE).map(([room]) => room);
  }

  /** Milliseconds until some are to be tried; Infinity where none is owed. */
  dueInMs(): number {
    const first = Math.min(...[...this.#rooms.values()].map(({ dueAt }) => dueAt));
    return Math.max(0, Math.max(first, this.#triedAt + BETWEEN_MS) - this.deps.clock.monotonic());
  }

  /** It was not read from there on, for whatever reason. A debt that stands is older, and stays as it is. */
  owe({ room, state }: JoinedRoom, from: string | undefined): void {
    const dueAt = this.deps.clock.monotonic();
    if (!this.#rooms.has(room))
      this.#rooms.set(room, { from, state: new Map(), failures: 0, dueAt, kept: false });
    this.tell(room, state);
  }

  /** Trying took `tookMs`, and failed. */
  failed(room: string, error: HomeserverError, tookMs: number): void {
    const debt = this.#rooms.get(room);
    if (debt === undefined) return;
    const { clock, log, random } = this.deps;
    debt.failures += 1;
    const growing = Math.min(50 * 2 ** Math.min(debt.failures, 20), LONGEST_PAUSE_MS);
    const slow = debt.failures === 1 ? 0 : Math.min(PAUSES_A_TRY * tookMs, LONGEST_SLOW_MS);
    const pause = Math.max(backoffMs(error, debt.failures, random), growing * (0.5 + random() / 2), slow);
    debt.dueAt = clock.monotonic() + pause;
    const fields = { room, error: error.message, failures: debt.failures, againInMs: Math.round(pause) };
    if (debt.failures === 1) log.warn(fields, 'a room cannot be read: it is left out until it can');
    else log.debug(fields, 'a room can still not be read');
  }

  /** What a /sync told of a room that was never read. */
  tell(room: string, state: readonly RoomEvent[]): void {
    const debt = this.#rooms.get(room);
    if (debt?.from !== undefined) return;
    for (const event of state) debt?.state.set(`${event.type} ${event.state_key ?? ''}`, event);
  }

  state(room: string): RoomEvent[] {
    return [...(this.#rooms.get(room)?.state.values() ?? [])];
  }

  /** Where it was owed: it was read and taken over, or we are in it no more. */
  settle(room: string): void {
    if (this.#rooms.delete(room))
      this.deps.log.info({ room }, 'a room that was left out is left out no more');
  }
}
