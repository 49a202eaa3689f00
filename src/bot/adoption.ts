import type { Homeserver, HomeserverError } from '../matrix/homeserver.js';
import { throughOutages } from '../matrix/outages.js';
import { isRefused, isUnknownEndpoint } from '../matrix/refusal.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { meaningOf } from './intake.js';
import type { Records } from './records.js';
import type { Surface } from './surface/surface.js';

/** So long at most rooms without a record are looked at at once: no start and no sweep waits for one of them longer. */
const LOOK_MS = 10_000;
const MOST_AT_ONCE = 20;
const AGAIN_MS = 60_000;

/**
 * Rooms that were made for a source by a process that died before it had recorded or left them: whoever sees one
 * finishes it, or leaves it where another room won (PROTOCOL P3, adopt).
 */
export class Adoption {
  private readonly sweptBefore = new Set<string>();
  /** Rooms of the account without a record whose create event was not read yet, the last that failed last. */
  private readonly unread = new Set<string>();
  /** Monotonic ms: they are not looked at before. */
  private notBefore = 0;
  private looking = false;

  constructor(
    private readonly deps: {
      homeserver: Homeserver;
      records: Records;
      surface: () => Surface;
      clock: Clock;
      log: Log;
      self: string;
    },
  ) {}

  /**
   * Looks at every room of the account that no record names. Waits through outages for the list of them; for a room that
   * cannot be read nobody waits (D5 is about what is sent there): it is left to the sweep.
   */
  async noteUnknownRooms(signal: AbortSignal): Promise<void> {
    const { homeserver, records } = this.deps;
    for (const room of await this.throughOutages(() => homeserver.joinedRooms(signal), signal))
      if (records.room(room) === undefined) this.unread.add(room);
    await this.look(this.unread.size, signal);
  }

  /** Adopts what was made and not recorded for two sweeps; a failure is tried again at the next. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { records, surface, log } = this.deps;
    try {
      await this.look(MOST_AT_ONCE, signal);
      const unrecorded = surface()
        .rooms.allMade()
        .filter(({ room }) => records.room(room) === undefined);
      const due = unrecorded.filter(({ room }) => this.sweptBefore.has(room));
      this.sweptBefore.clear();
      for (const { room } of unrecorded) this.sweptBefore.add(room);
      if (due.length > 0) await surface().adopt(due, signal);
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ error: String(error) }, 'a room that was made could not be finished or left yet');
    }
  }

  /** Looks at `most` of those that were not read yet, for a while. Rejects with the signal's reason only. */
  private async look(most: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.deps;
    if (this.looking || clock.monotonic() < this.notBefore) return;
    this.looking = true;
    const late = new AbortController();
    const cancel = clock.after(LOOK_MS, () => late.abort());
    try {
      for (const room of [...this.unread].slice(0, most)) {
        try {
          await this.lookAt(room, AbortSignal.any([signal, late.signal]));
          this.unread.delete(room);
        } catch (error) {
          signal.throwIfAborted();
          this.unread.delete(room);
          // A room that is closed to us by now is no room of the account.
          if (isRefused(error)) continue;
          this.unread.add(room);
          this.notBefore = clock.monotonic() + AGAIN_MS;
          log.warn({ room, error: String(error) }, 'a room without a record cannot be looked at yet');
          if (late.signal.aborted) return;
        }
      }
    } finally {
      cancel();
      this.looking = false;
    }
  }

  private async lookAt(room: string, signal: AbortSignal): Promise<void> {
    const { homeserver, records, self, surface } = this.deps;
    if (records.room(room) !== undefined) return;
    const create = await homeserver.stateEvent(room, 'm.room.create', '', signal);
    const meaning = create && meaningOf(room, create, self);
    if (meaning?.is === 'made') surface().rooms.noteMade(meaning);
  }

  private async throughOutages<T>(ask: () => Promise<T[]>, signal: AbortSignal): Promise<T[]> {
    const { clock, log } = this.deps;
    // A token that another login has ended for now is waited for as well, and an account that is blocked.
    const passes = (error: HomeserverError) =>
      error.code !== 'aborted' && !isRefused(error) && !isUnknownEndpoint(error);
    try {
      return await throughOutages(ask, { clock, log, signal, passes });
    } catch (error) {
      if (!isRefused(error) && !isUnknownEndpoint(error)) throw error;
      log.warn({ error: String(error) }, 'the homeserver does not tell which rooms the account is in');
      return [];
    }
  }
}
