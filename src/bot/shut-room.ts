import type { RoomEvent } from '../matrix/homeserver.js';
import type { Clock } from '../time/clock.js';
import type { Engine } from './engine.js';
import type { Source } from './source.js';

const AGAIN_MS = { first: 60_000, most: 24 * 3600_000 };
/** What stands in a room that long after its cause, and could not be ended, stays. */
const ABANDONED_AFTER_MS = 30 * 24 * 3600_000;

/**
 * Its room refuses us, or we are not in it: what is owed there is tried at the next sign that this has changed, and
 * without one ever more rarely, because not every reason shows in the room.
 */
export function shut(source: Source, clock: Pick<Clock, 'now' | 'monotonic'>): void {
  const pause = Math.min(AGAIN_MS.first * 2 ** source.refusals, AGAIN_MS.most);
  source.notBefore = clock.monotonic() + pause;
  source.refusals += 1;
  source.abandoned = clock.now() - source.ref.ts > ABANDONED_AFTER_MS;
}

/** Reads rooms for signs that we may write there again: our membership changed, or who may do what. */
export class SignsOfOpening {
  constructor(
    private readonly deps: {
      engine: Pick<Engine, 'all'>;
      /** Our own mxid. */
      self: string;
    },
  ) {}

  /** Whoever takes a batch in looks at all sources behind it. */
  read(room: string, { type, state_key }: RoomEvent): void {
    const isOurs = type === 'm.room.member' && state_key === this.deps.self;
    if (!isOurs && (type !== 'm.room.power_levels' || state_key !== '')) return;
    for (const source of this.deps.engine.all()) {
      if (source.ref.room !== room || source.refusals === 0) continue;
      source.refusals = 0;
      source.notBefore = 0;
    }
  }
}
