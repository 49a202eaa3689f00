import { type Homeserver, HomeserverError } from '../matrix/homeserver.js';
import { isOutage, throughOutages } from '../matrix/outages.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { meaningOf } from './intake.js';
import type { Records } from './records.js';
import type { Surface } from './surface/surface.js';

/**
 * Rooms that were made for a source by a process that died before it had recorded or left them: whoever sees one
 * finishes it, or leaves it where another room won (PROTOCOL P3, adopt).
 */
export class Adoption {
  private readonly sweptBefore = new Set<string>();

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

  /** Looks at every room of the account that no record names. Waits through outages. */
  async noteUnknownRooms(signal: AbortSignal): Promise<void> {
    const { homeserver, records, self, surface } = this.deps;
    for (const room of await this.throughOutages(() => homeserver.joinedRooms(signal), signal)) {
      if (records.room(room) !== undefined) continue;
      for (const event of await this.throughOutages(() => homeserver.roomState(room, signal), signal)) {
        const meaning = meaningOf(room, event, self);
        if (meaning.is === 'made') surface().rooms.noteMade(meaning);
      }
    }
  }

  /** Adopts what was made and not recorded for two sweeps; a failure is tried again at the next. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { records, surface, log } = this.deps;
    try {
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

  private async throughOutages<T>(ask: () => Promise<T[]>, signal: AbortSignal): Promise<T[]> {
    const { clock, log } = this.deps;
    // A token that another login has ended for now is waited for as well.
    const passes = (error: HomeserverError) => isOutage(error) || error.detail.status === 401;
    try {
      return await throughOutages(ask, { clock, log, signal, passes });
    } catch (error) {
      // A room that is closed to us by now is no room of the account.
      if (error instanceof HomeserverError && error.code === 'refused') return [];
      throw error;
    }
  }
}
