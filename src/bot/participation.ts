import type { Fence } from '../routing/fence.js';
import type { Channel } from '../sync/channel.js';
import type { Clock } from '../time/clock.js';

export interface ParticipationDeps {
  channel: Pick<Channel, 'connected'>;
  clock: Clock;
  fence: Fence;
  leaseMs: number;
  /** When the homeserver answered last, monotonic ms. */
  heard: () => number;
  /** Machines of which the documents hold versions that are not registered here. */
  newer: () => string[];
  /** The outermost conditions of O1 and D6. Undefined: fine. */
  obstacle: () => string | undefined;
}

/** Whether this replica takes part, and may own (PROTOCOL O1): read up to now, not draining, nothing in its way. */
export class Participation {
  /** Every room was read up to now. */
  live = false;
  draining = false;
  private aloneSince: number | undefined;

  constructor(private readonly deps: ParticipationDeps) {}

  /** O1: only candidates own, and every heartbeat says whether this is one. */
  candidate(): boolean {
    return !this.draining && this.able();
  }

  able(): boolean {
    return this.live && this.homeserverHeard() && this.obstacle() === undefined;
  }

  /** Why it takes no part; none when it does. */
  reasons(): string[] {
    const reasons: string[] = [];
    if (!this.live) reasons.push('the rooms are not read up to now yet');
    if (this.draining) reasons.push('draining');
    if (!this.homeserverHeard()) reasons.push('the homeserver has not answered within the lease');
    const obstacle = this.obstacle();
    if (obstacle !== undefined) reasons.push(obstacle);
    return reasons;
  }

  /** A relay lost for longer than a lease: others may own by now, so the timeline comes first (DESIGN §5). */
  relayMayHaveChanged(): void {
    const { channel, clock, fence, leaseMs } = this.deps;
    const now = clock.monotonic();
    if (!channel.connected()) {
      this.aloneSince ??= now;
      return;
    }
    if (this.aloneSince !== undefined && now - this.aloneSince > leaseMs) fence.raise();
    this.aloneSince = undefined;
  }

  /** A4: who does not know a machine's latest version does not own. */
  private obstacle(): string | undefined {
    const newer = this.deps.newer();
    if (newer.length === 0) return this.deps.obstacle();
    return `the documents hold actors of ${newer.join(', ')}, which this replica does not know: update it`;
  }

  private homeserverHeard(): boolean {
    const { clock, heard, leaseMs } = this.deps;
    return clock.monotonic() - heard() <= leaseMs;
  }
}
