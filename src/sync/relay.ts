import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerId, StorageAdapterInterface } from '@automerge/automerge-repo';
import { WebSocketServer } from 'ws';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import { Cooldown } from './cooldown.js';
import { Counters } from './counters.js';
import { SyncError } from './errors.js';
import { defaultMaxFrameBytes } from './frame.js';
import { defaultIntake, type IntakeLimits } from './intake.js';
import { defaultKeepalive, type KeepaliveOptions } from './keepalive.js';
import { watchMemory } from './memory-watch.js';
import { defaultOutgoing, type OutgoingLimits } from './outgoing.js';
import { answerAdmin } from './relay-admin.js';
import { admit, answerRefusal, coolingKey } from './relay-admission.js';
import { RelayConnection, type RelayContext } from './relay-connection.js';
import { RelayDocuments } from './relay-documents.js';
import { RelayMembers } from './relay-members.js';
import { createRelayServer, listen, replaceTls, type RelayTls } from './relay-server.js';
import { relayCounts, type RelayCount, type RelayStats } from './relay-stats.js';
import { RelayTokens, type RelayToken, type TokenRole } from './relay-tokens.js';

export interface RelayOptions {
  /** Default `127.0.0.1`; beyond loopback a token is required. */
  host?: string;
  /** 0 takes a free port. */
  port: number;
  /** Any of these is let in, a plain text as a replica; undefined: everyone, on loopback only. */
  tokens: readonly (string | RelayToken)[] | undefined;
  /** Where documents are kept: what it holds is what a restarted relay has. */
  storage: StorageAdapterInterface;
  /** What clients must offer (see `clusterCheck()`), so that one relay serves one cluster. */
  clusterCheck?: string;
  /** Web origins whose pages may connect; none by default. */
  origins?: readonly string[];
  /** Larger frames end their connection (1009). Default 16 MiB. */
  maxFrameBytes?: number;
  /** Serves `wss://`; without it a proxy does, or the network is trusted. */
  tls?: RelayTls;
  /** Plain HTTP requests on the same port (`/healthz`, `/metrics`); 404 without it. */
  onRequest?: RequestListener;
  limits?: Partial<RelayLimits>;
  log: Log;
  clock: Clock;
}

export interface RelayLimits {
  /** Of all roles; viewers and admins may take half of them. */
  connections: number;
  replicas: number;
  /** Bytes held for all connections together. */
  heldBytes: number;
  /** Milliseconds for which a viewer that tried to write is refused. */
  cooldownMs: number;
  /** Milliseconds without a message after which a document leaves memory. */
  documentIdleMs: number;
  /** Milliseconds from the upgrade to `hello`. */
  helloMs: number;
  /** Documents announced and not yet delivered, over all connections; each holds about 100 KB. */
  awaitedDocuments: number;
  intake: IntakeLimits;
  outgoing: OutgoingLimits;
  keepalive: KeepaliveOptions;
}

export interface Relay {
  url: string;
  port: number;
  stats(): RelayStats;
  /** Asked to close: takes nobody in any more. */
  draining(): boolean;
  /** From now on these count: who came with another is ended. Throws `bad-token`. */
  setTokens(tokens: readonly (string | RelayToken)[]): void;
  /** For connections from now on. Throws `bad-certificate`. */
  setTls(tls: RelayTls): void;
  /** Says goodbye to every connection (1001), stores what is in memory, frees the port. Idempotent. */
  close(): Promise<void>;
}

const defaultLimits: RelayLimits = {
  connections: 1_024,
  replicas: 64,
  heldBytes: 512 * 1024 * 1024,
  cooldownMs: 30_000,
  documentIdleMs: 600_000,
  helloMs: 5_000,
  awaitedDocuments: 1_024,
  intake: defaultIntake,
  outgoing: defaultOutgoing,
  keepalive: defaultKeepalive,
};

const drainMs = 3_000;
/** Tokens are looked at this often at least: the clock of the machine may be set. */
const expiryLookMs = 60_000;

/**
 * Starts a relay: it keeps a copy of every document, passes ephemeral messages between the replicas of one
 * cluster without reading them, and says who is connected. No frame and no failing storage ends it.
 *
 * Rejects with a `SyncError`: `token-required`, `bad-token`, `bad-certificate`, `storage`, `port-in-use`,
 * `cannot-listen`.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { host = '127.0.0.1', clock, log } = options;
  if (!options.tokens?.length && !isLoopback(host)) {
    throw new SyncError(
      'token-required',
      `A relay on ${host} is reachable by others and needs a token: set UNDERSTUDY_RELAY_TOKEN.`,
    );
  }
  if (options.tokens?.length === 0) throw new SyncError('bad-token', 'The list of relay tokens is empty.');
  const tokens = new RelayTokens(options.tokens);
  const server = createRelayServer(options.tls);
  const limits = { ...defaultLimits, ...options.limits };
  const maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
  const counters = new Counters<RelayCount>(relayCounts);
  const peerId = `relay-${randomBytes(9).toString('hex')}` as PeerId;
  const documents = await RelayDocuments.open({
    peerId,
    storage: options.storage,
    maxAwaited: limits.awaitedDocuments,
    idleMs: limits.documentIdleMs,
    clock,
    log,
    counters,
  });
  const members = new RelayMembers(limits.replicas);
  const connections = new Set<RelayConnection>();
  const context: RelayContext = {
    members,
    documents,
    clusterCheck: options.clusterCheck,
    maxFrameBytes,
    helloMs: limits.helloMs,
    intake: limits.intake,
    outgoing: limits.outgoing,
    keepalive: limits.keepalive,
    clock,
    log,
    counters,
  };
  const cooldown = new Cooldown(clock, limits.cooldownMs);
  const onlookers = () => [...connections].filter(({ readsOnly }) => readsOnly).length;
  const isFull = (role: TokenRole): boolean =>
    draining ||
    connections.size >= limits.connections ||
    (role !== 'replica' && onlookers() >= limits.connections / 2);
  let draining = false;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols: (_offered, request) => spoken.get(request) ?? false,
  });
  const spoken = new WeakMap<IncomingMessage, string>();
  server.on('request', (request, response) => {
    if (answerAdmin(request, response, { tokens, connections, clock, counters })) return;
    (options.onRequest ?? notFound)(request, response);
  });
  server.maxConnections = 2 * limits.connections + 256;
  server.on('drop', () => counters.add('refusedFull'));
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    counters.add('httpFailures');
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else answerRefusal(socket, { status: 400, message: 'Not an HTTP request.' });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const onError = (error: Error & { code?: string }) => {
      counters.add('httpFailures');
      log.debug({ code: error.code }, 'A connection was cut during its upgrade');
    };
    socket.on('error', onError);
    const origins = options.origins ?? [];
    const admission = admit(request, { tokens, origins, cooldown, isFull, now: clock.now() });
    if (!admission.admitted) {
      counters.add(admission.count);
      log.warn({ status: admission.status, reason: admission.count }, 'The relay refused a connection');
      return answerRefusal(socket, admission);
    }
    const { token, role } = admission;
    spoken.set(request, admission.protocol);
    const key = coolingKey(token, request);
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('error', onError);
      counters.add('accepted');
      const connection = new RelayConnection(
        {
          socket: webSocket,
          bytesRead: () => request.socket.bytesRead,
          token,
          role,
          wrote: () => cooldown.begin(key),
        },
        context,
      );
      connections.add(connection);
      webSocket.once('close', () => connections.delete(connection));
    });
  });
  try {
    await listen(server, host, options.port, (error) => {
      counters.add('httpFailures');
      log.error({ error: error.message }, 'The listening socket reported an error');
    });
  } catch (error) {
    await documents.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const url = `${options.tls ? 'wss' : 'ws'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  log.info({ url, token: options.tokens !== undefined }, 'The relay listens');

  const stopWatching = watchMemory(connections, clock, limits.heldBytes);
  let nextLook: Cancel | undefined;
  const checkTokens = (): void => {
    nextLook?.();
    const now = clock.now();
    for (const connection of connections) connection.checkToken((token) => tokens.revoked(token, now));
    const wait = Math.min(expiryLookMs, tokens.nextExpiry(now) ?? expiryLookMs);
    nextLook = draining ? undefined : clock.after(wait, checkTokens);
  };
  checkTokens();

  let closed: Promise<void> | undefined;
  const close = async () => {
    draining = true;
    nextLook?.();
    stopWatching();
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of connections) connection.end('draining');
    const cancel = clock.after(drainMs, () => {
      for (const webSocket of sockets.clients) webSocket.terminate();
      server.closeAllConnections();
    });
    server.closeIdleConnections();
    await stopped;
    cancel();
    sockets.close();
    await documents.close();
    log.info({}, 'The relay has stopped');
  };
  return {
    url,
    port,
    stats() {
      const { documents: count, awaited } = documents.size();
      const held = [...connections].map((connection) => connection.held());
      const backlogs = held.map(({ backlog }) => backlog);
      const admins = [...connections].filter(({ role }) => role === 'admin').length;
      return {
        ...counters.snapshot(),
        connections: connections.size,
        replicas: members.size,
        viewers: onlookers() - admins,
        admins,
        documents: count,
        awaitedDocuments: awaited,
        heldBytes: held.reduce((sum, { bytes }) => sum + bytes, 0),
        backlogBytes: backlogs.reduce((sum, bytes) => sum + bytes, 0),
        greatestBacklogBytes: backlogs.reduce((most, bytes) => Math.max(most, bytes), 0),
      };
    },
    draining: () => draining,
    setTokens(list) {
      tokens.replace(list);
      checkTokens();
    },
    setTls: (tls) => replaceTls(server, tls),
    close: () => (closed ??= close()),
  };
}

const notFound: RequestListener = (_request, response) => {
  response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n');
};

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
