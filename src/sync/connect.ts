import type { DocumentId, NetworkAdapter } from '@automerge/automerge-repo';
import type { ClaimAnswer, ClaimRequest } from '../claims/wire.js';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { Channel, Sender } from './channel.js';
import { linkCounts, type LinkCount } from './connect-stats.js';
import { Counters } from './counters.js';
import { assertToken } from './credentials.js';
import { SyncError } from './errors.js';
import { nameSchema } from './frame.js';
import { defaultKeepalive, type KeepaliveOptions } from './keepalive.js';
import { RelayLink, type LinkStatus } from './link.js';
import { defaultOutgoing, type OutgoingLimits } from './outgoing.js';
import { RelayChannel } from './relay-channel.js';

export interface ConnectOptions {
  self: Sender;
  /** All are used at once; losing one changes nothing. With none, the channel is never connected. */
  relays: readonly { url: string; token?: string }[];
  /**
   * As a viewer: changes come in, nothing goes out, and to the replicas it is not there. A viewer's or admin's token
   * needs it, a replica's may.
   */
  readOnly?: boolean;
  /** See `clusterCheck()`; a relay of another cluster refuses it. */
  clusterCheck?: string;
  outgoing?: OutgoingLimits;
  keepalive?: KeepaliveOptions;
  clock: Clock;
  log: Log;
}

export interface Relays {
  channel: Channel;
  /** One per relay, for the Repo's `network`; give the Repo `peerIdOf(self)` as its peer id. */
  networkAdapters: NetworkAdapter[];
  /**
   * The heads (hex, as `Automerge.getHeads`) of each document that each relay has *stored*; `[]` for one it does
   * not have. A relay that is not open or does not answer in time is absent, and so is a document that the
   * relay could not read or store. Never rejects.
   */
  relayHeads(ids: readonly DocumentId[], timeoutMs: number): Promise<Map<string, Map<string, string[]>>>;
  /** Relays by their lasting names, of those that are open and decide on claims. */
  named(): { relay: string; url: string }[];
  /** Asks one relay about claims. Undefined: out of reach, or silent for so long; it may have done it. */
  claims(relay: string, request: ClaimRequest, timeoutMs: number): Promise<ClaimAnswer | undefined>;
  status(): LinkStatus[];
  /** Counts since the start, over all relays. */
  stats(): Record<LinkCount, number>;
  /** Ends every connection and every attempt to connect. Idempotent. */
  close(): void;
}

/**
 * Connects to every relay and keeps trying for ever. Throws a `SyncError` for settings that can never work
 * (`bad-relay-url`, `bad-token`, `bad-name`), and after that nothing: what fails shows in `status()`.
 */
export function connectRelays(options: ConnectOptions): Relays {
  const { self, relays, clusterCheck, clock, log } = options;
  for (const name of [self.replica, self.incarnation]) assertName(name);
  for (const { url, token } of relays) {
    assertRelayUrl(url);
    if (token !== undefined) assertToken(token);
  }
  const counters = new Counters<LinkCount>(linkCounts);
  const channel = new RelayChannel(self, log, counters);
  const links = [...new Map(relays.map((relay) => [relay.url, relay])).values()].map(({ url, token }) => {
    const link: RelayLink = new RelayLink(
      {
        url,
        token,
        self,
        clusterCheck,
        readOnly: options.readOnly ?? false,
        outgoing: options.outgoing ?? defaultOutgoing,
        keepalive: options.keepalive ?? defaultKeepalive,
        clock,
        log,
        counters,
      },
      {
        welcomed: (present) => channel.welcomed(link, present),
        joined: (sender) => channel.joined(link, sender),
        gone: (sender) => channel.gone(link, sender),
        channel: (frame) => channel.received(frame),
        lost: () => channel.lost(link),
      },
    );
    channel.add(link);
    return link;
  });
  return {
    channel,
    networkAdapters: links.map((link) => link.adapter),
    async relayHeads(ids, timeoutMs) {
      const answers = await Promise.all(
        links.map(async (link) => [link.status().url, await link.heads(ids, timeoutMs)] as const),
      );
      return new Map(
        answers.filter((answer): answer is [string, Map<string, string[]>] => answer[1] !== undefined),
      );
    },
    named: () =>
      links.flatMap((link) =>
        link.relay === undefined ? [] : [{ relay: link.relay, url: link.status().url }],
      ),
    async claims(relay, request, timeoutMs) {
      return links.find((link) => link.relay === relay)?.claims(request, timeoutMs);
    },
    status: () => links.map((link) => link.status()),
    stats: () => counters.snapshot(),
    close() {
      for (const link of links) link.close();
    },
  };
}

function assertName(name: string): void {
  if (nameSchema.safeParse(name).success) return;
  throw new SyncError(
    'bad-name',
    'A replica id must be 1–128 printable ASCII characters without / and spaces.',
  );
}

function assertRelayUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.username || parsed?.password) {
    // URLs are shown in status and logs.
    throw new SyncError('bad-relay-url', 'A relay URL carries no password: set UNDERSTUDY_RELAY_TOKEN.');
  }
  if (parsed && ['ws:', 'wss:'].includes(parsed.protocol) && !url.includes('#')) return;
  throw new SyncError(
    'bad-relay-url',
    'A relay URL must begin with ws:// or wss:// (UNDERSTUDY_RELAY_URLS).',
  );
}
