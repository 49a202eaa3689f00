import type { DocumentId, PeerId } from '@automerge/automerge-repo';
import type { WebSocket } from 'ws';
import { claimAnswer, type ClaimAnswer, type ClaimRequest } from '../claims/wire.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import { Backoff } from './backoff.js';
import type { Sender } from './channel.js';
import { closeCodes } from './close-codes.js';
import { cborOf, encodeCbor } from './codec.js';
import type { LinkCount } from './connect-stats.js';
import type { Counters } from './counters.js';
import {
  defaultMaxFrameBytes,
  encodeFrame,
  parseFrameFromRelay,
  type ChannelFrame,
  type FrameFromRelay,
} from './frame.js';
import { keepAlive, type KeepaliveOptions } from './keepalive.js';
import { LinkAdapter } from './link-adapter.js';
import { openSocket } from './link-socket.js';
import { OpenRequests } from './open-requests.js';
import { Outgoing, type OutgoingLimits } from './outgoing.js';
import { ReadOnly } from './read-only.js';

const handshakeMs = 5_000;
/** A connection that lived this long was a good one: the next wait is the shortest again. */
const goodAfterMs = 1_000;

/**
 * - `connecting`: the socket is being opened, or `welcome` has not come yet.
 * - `open`: messages pass.
 * - `waiting`: for the next attempt, `reason` says what ended the last one.
 * - `closed`: by us, for ever.
 */
export type LinkState = 'connecting' | 'open' | 'waiting' | 'closed';

export interface LinkStatus {
  url: string;
  state: LinkState;
  /** Milliseconds since the epoch. */
  since: number;
  /** Why the last connection ended, e.g. `ECONNREFUSED`, `http-401`, `wrong-cluster`, `draining`. */
  reason?: string;
}

export interface LinkEvents {
  /** Open: these replicas are connected to that relay too. */
  welcomed(present: Sender[]): void;
  joined(sender: Sender): void;
  gone(sender: Sender): void;
  channel(frame: ChannelFrame): void;
  /** Was open, is no longer. */
  lost(): void;
}

export interface LinkOptions {
  url: string;
  token: string | undefined;
  self: Sender;
  clusterCheck: string | undefined;
  readOnly: boolean;
  outgoing: OutgoingLimits;
  keepalive: KeepaliveOptions;
  clock: Clock;
  log: Log;
  counters: Counters<LinkCount>;
}

/** The connection to one relay, opened again and again until {@link close}. */
export class RelayLink {
  readonly adapter: LinkAdapter;
  readonly #backoff = new Backoff();
  readonly #heads: OpenRequests<Map<string, string[]>>;
  readonly #claims: OpenRequests<ClaimAnswer>;
  #relayId: string | undefined;
  #state: LinkState = 'connecting';
  #since: number;
  #reason: string | undefined;
  #socket: WebSocket | undefined;
  #outgoing: Outgoing | undefined;
  #maxFrameBytes = defaultMaxFrameBytes;
  #openedAt = 0;
  #timer: Cancel | undefined;

  constructor(
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
  ) {
    this.#since = options.clock.now();
    this.#heads = new OpenRequests(options.clock);
    this.#claims = new OpenRequests(options.clock);
    this.adapter = new LinkAdapter(
      {
        attach: () => this.#durable(encodeFrame(['attach'])),
        detach: () => this.#durable(encodeFrame(['detach'])),
        send: (frame) => this.#durable(encodeFrame(frame)),
      },
      options.clock,
      options.readOnly ? new ReadOnly() : undefined,
    );
    this.#connect();
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** The lasting name of the relay that it is open to; undefined for one that decides on no claims. */
  get relay(): string | undefined {
    return this.open ? this.#relayId : undefined;
  }

  status(): LinkStatus {
    const { url } = this.options;
    const status = { url, state: this.#state, since: this.#since };
    return this.#reason === undefined ? status : { ...status, reason: this.#reason };
  }

  /** Sends if it can, else forgets. */
  ephemeral(data: Uint8Array): void {
    if (!this.open || !this.#outgoing || this.options.readOnly || data.length > this.#maxFrameBytes) {
      return this.options.counters.add('channelDropped');
    }
    const result = this.#outgoing.ephemeral(data);
    if (result === 'overflow') this.#cut('relay-does-not-read');
    this.options.counters.add(result === 'sent' ? 'channelSent' : 'channelDropped');
  }

  /** Undefined: not open, or no answer in time. */
  async heads(ids: readonly DocumentId[], timeoutMs: number): Promise<Map<string, string[]> | undefined> {
    if (!this.open) return undefined;
    return this.#heads.ask(timeoutMs, (request) => this.#durable(encodeFrame(['heads?', request, [...ids]])));
  }

  /** Undefined: not open, or no answer in time; it may have been carried out all the same. */
  async claims(request: ClaimRequest, timeoutMs: number): Promise<ClaimAnswer | undefined> {
    if (this.relay === undefined || this.options.readOnly) return undefined;
    const body = encodeCbor(request);
    return this.#claims.ask(timeoutMs, (number) => this.#durable(encodeFrame(['claim', number, body])));
  }

  close(): void {
    if (this.#state === 'closed') return;
    const wasOpen = this.open;
    this.#enter('closed', 'closed');
    this.#timer?.();
    this.#heads.giveUp();
    this.#claims.giveUp();
    this.adapter.lost();
    if (wasOpen) this.events.lost();
    const socket = this.#socket;
    if (!socket) return;
    socket.close(1000);
    const cancel = this.options.clock.after(1_000, () => socket.terminate());
    socket.once('close', cancel);
  }

  #connect(): void {
    this.#enter('connecting');
    const { url, token, clock, keepalive, outgoing } = this.options;
    const socket = openSocket(
      url,
      { token, readOnly: this.options.readOnly, handshakeMs, maxFrameBytes: defaultMaxFrameBytes * 4 },
      {
        upgraded: (relay) => {
          if (this.#socket === socket) this.#relayId = relay;
        },
        open: () => this.#hello(),
        message: (data, binary) => {
          if (this.#socket === socket) this.#received(binary ? parseFrameFromRelay(data) : undefined);
        },
        closed: (reason) => {
          if (this.#socket === socket) this.#ended(reason);
        },
      },
    );
    this.#socket = socket;
    this.#outgoing = new Outgoing(socket, clock, outgoing);
    keepAlive(socket, clock, keepalive, () => {
      if (this.#socket === socket) this.#cut('silent');
    });
  }

  #hello(): void {
    const { self, clusterCheck, clock } = this.options;
    this.#timer = clock.after(handshakeMs, () => this.#cut('no-welcome'));
    this.#durable(encodeFrame(['hello', clusterCheck ?? null, self.replica, self.incarnation]));
  }

  #received(frame: FrameFromRelay | undefined): void {
    if (!frame || (frame[0] === 'welcome') === this.open) return this.#malformed();
    switch (frame[0]) {
      case 'welcome':
        return this.#welcomed(frame[1] as PeerId, frame[2], frame[3]);
      case 'joined':
        return this.events.joined({ replica: frame[1], incarnation: frame[2] });
      case 'gone':
        return this.events.gone({ replica: frame[1], incarnation: frame[2] });
      case 'channel':
        return this.events.channel(frame);
      case 'heads':
        return this.#heads.answered(frame[1], new Map(frame[2]));
      case 'claimed':
        return this.#claimed(frame[1], frame[2]);
      default:
        if (!this.adapter.received(frame)) this.#malformed();
    }
  }

  #claimed(request: number, body: Uint8Array): void {
    const answer = claimAnswer.safeParse(cborOf(body));
    if (!answer.success) return this.#malformed();
    this.#claims.answered(request, answer.data);
  }

  #welcomed(relay: PeerId, maxFrameBytes: number, present: [string, string][]): void {
    this.#timer?.();
    this.#maxFrameBytes = maxFrameBytes;
    this.#openedAt = this.options.clock.monotonic();
    this.#enter('open');
    this.options.counters.add('opened');
    this.options.log.info({ relay: hostOf(this.options.url) }, 'Connected to a relay');
    this.events.welcomed(present.map(([replica, incarnation]) => ({ replica, incarnation })));
    this.adapter.opened(relay);
  }

  #ended(reason: string): void {
    const { clock, log, counters } = this.options;
    const wasOpen = this.open;
    this.#timer?.();
    this.#socket = undefined;
    this.#outgoing = undefined;
    if (this.#state === 'closed') return;
    if (wasOpen && clock.monotonic() - this.#openedAt >= goodAfterMs) this.#backoff.reset();
    const waitMs = this.#backoff.next();
    counters.add(wasOpen ? 'lost' : 'failed');
    // Once per reason: a relay that is down for an hour is one line and not a thousand.
    if (wasOpen || reason !== this.#reason) {
      log.warn({ relay: hostOf(this.options.url), reason }, 'No connection to a relay; trying again');
    }
    this.#enter('waiting', reason);
    this.#timer = clock.after(waitMs, () => this.#connect());
    this.#heads.giveUp();
    this.#claims.giveUp();
    this.adapter.lost();
    if (wasOpen) this.events.lost();
  }

  #malformed(): void {
    this.options.counters.add('malformed');
    this.#socket?.close(closeCodes.malformed, 'malformed');
    this.#cut('malformed');
  }

  #durable(data: Uint8Array): void {
    if (data.length > this.#maxFrameBytes) {
      // Sent, it would end the connection, and again after every reconnect.
      this.options.counters.add('tooBig');
      this.options.log.error(
        { bytes: data.length, limit: this.#maxFrameBytes },
        'A frame is too big to send',
      );
      return;
    }
    if (this.#outgoing?.durable(data) === 'overflow') this.#cut('relay-does-not-read');
  }

  /** Ends the socket at once; what follows is decided when it reports its end. */
  #cut(reason: string): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.terminate();
    this.#ended(reason);
  }

  #enter(state: LinkState, reason?: string): void {
    this.#state = state;
    this.#since = this.options.clock.now();
    if (reason !== undefined) this.#reason = reason;
  }
}

/** Host and port only: a URL may carry a password. */
function hostOf(url: string): string {
  return new URL(url).host;
}
