import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerId } from '@automerge/automerge-repo';
import { WebSocketServer } from 'ws';
import type { Cancel } from '../time/clock.js';
import { Cooldown } from './cooldown.js';
import { Counters } from './counters.js';
import { SyncError } from './errors.js';
import { defaultMaxFrameBytes, relayHeader } from './frame.js';
import { watchMemory } from './memory-watch.js';
import { recordsIn } from './claim-records.js';
import { answerAdmin } from './relay-admin.js';
import { admit, answerRefusal, coolingKey } from './relay-admission.js';
import { RelayClaims } from './relay-claims.js';
import { RelayConnection, type RelayContext } from './relay-connection.js';
import { RelayDocuments } from './relay-documents.js';
import { RelayMembers } from './relay-members.js';
import { defaultLimits, type Relay, type RelayOptions } from './relay-options.js';
import { createRelayServer, listen, replaceTls } from './relay-server.js';
import { relayCounts, type RelayCount } from './relay-stats.js';
import { RelayTokens, type TokenRole } from './relay-tokens.js';

export type { Relay, RelayOptions } from './relay-options.js';

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
  const claims = new RelayClaims({
    head: options.identity ?? recordsIn(options.storage),
    parts: recordsIn(options.storage),
    limits: limits.claims,
    clock,
    log,
  });
  await claims.open();
  const members = new RelayMembers(limits.replicas);
  const connections = new Set<RelayConnection>();
  const context: RelayContext = {
    members,
    documents,
    claims,
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
  sockets.on('headers', (headers) => {
    if (claims.relay !== undefined) headers.push(`${relayHeader}: ${claims.relay}`);
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
    await claims.close();
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
    await claims.close();
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
    get id() {
      return claims.relay;
    },
    claims: () => claims.stats(),
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
