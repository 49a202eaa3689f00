import type { Clock } from '../../src/time/clock.js';
import { SimulatedClient } from './client.js';
import { SimulatedRooms } from './rooms.js';

/**
 * A homeserver in memory, for deterministic schedules: what it does with a request it does at one instant, in the
 * order of arrival; tests hold, refuse and lose requests (see {@link Faults}). Facts that it keeps to, found on a real
 * one, are held by the contract suite in test/matrix.
 */
export class SimulatedHomeserver extends SimulatedRooms {
  readonly #clients: SimulatedClient[] = [];

  /** A token of a device. Clients of one device share its transaction ids; each can be cut off by itself. */
  connect(
    localpart: string,
    device: string,
    options: { clock?: Clock; deadlineMs?: number; name?: string } = {},
  ) {
    // `carol:other.test` is a person of another server.
    const user = localpart.includes(':') ? `@${localpart}` : `@${localpart}:${this.serverName}`;
    const client = new SimulatedClient(this, { user, device }, options);
    this.#clients.push(client);
    return client;
  }

  /** Cuts every client off, as a killed homeserver does; what it had applied stays. */
  stop(): void {
    for (const client of this.#clients) client.cutOff();
  }

  startAgain(): void {
    for (const client of this.#clients) client.restore();
  }
}
