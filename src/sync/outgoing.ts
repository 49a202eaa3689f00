import type { WebSocket } from 'ws';
import type { Clock } from '../time/clock.js';

export interface OutgoingLimits {
  /** Bytes waiting for the other side above which ephemeral frames are dropped. */
  softBytes: number;
  /** Bytes waiting above which the connection ends: what is lost then is synced again after a reconnect. */
  hardBytes: number;
  /** Milliseconds that a connection may stay above `softBytes`. */
  stallMs: number;
}

export const defaultOutgoing: OutgoingLimits = {
  softBytes: 1024 * 1024,
  hardBytes: 64 * 1024 * 1024,
  stallMs: 10_000,
};

export type Sent = 'sent' | 'dropped' | 'overflow';

/** What waits to be written to one socket, bounded: a reader that never reads costs `hardBytes` at most. */
export class Outgoing {
  #aboveSoftSince: number | undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly clock: Clock,
    private readonly limits: OutgoingLimits,
  ) {}

  /** May be dropped: nothing depends on its arrival. */
  ephemeral(data: Uint8Array): Sent {
    if (!this.#open()) return 'dropped';
    if (this.stalled()) return 'overflow';
    if (this.socket.bufferedAmount > this.limits.softBytes) return 'dropped';
    return this.#send(data);
  }

  /** May not be dropped while the connection lives; on `overflow` the caller ends it. */
  durable(data: Uint8Array): Sent {
    if (!this.#open()) return 'dropped';
    if (this.socket.bufferedAmount + data.length > this.limits.hardBytes || this.stalled()) return 'overflow';
    return this.#send(data);
  }

  /** Bytes that wait for the other side. */
  get backlog(): number {
    return this.socket.bufferedAmount;
  }

  /** More waits than may, or for longer: also of what nobody asked to be sent, as answers to pings. */
  overflows(): boolean {
    return this.backlog > this.limits.hardBytes || this.stalled();
  }

  /** The other side has not read enough for `stallMs`. */
  stalled(): boolean {
    if (this.socket.bufferedAmount <= this.limits.softBytes) {
      this.#aboveSoftSince = undefined;
      return false;
    }
    this.#aboveSoftSince ??= this.clock.monotonic();
    return this.clock.monotonic() - this.#aboveSoftSince > this.limits.stallMs;
  }

  // A socket that is closing takes nothing: asking it to would raise an error for what is already lost.
  #open(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  #send(data: Uint8Array): Sent {
    this.socket.send(data, { binary: true, compress: false });
    return 'sent';
  }
}
