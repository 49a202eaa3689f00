import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerId, StorageAdapterInterface } from '@automerge/automerge-repo';
import { WebSocketServer } from 'ws';
import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import { Counters } from './counters.js';
import { TokenRing } from './credentials.js';
import { SyncError } from './errors.js';
import { defaultMaxFrameBytes, protocol } from './frame.js';
import { defaultIntake, type IntakeLimits } from './intake.js';
import { defaultKeepalive, type KeepaliveOptions } from './keepalive.js';
import { defaultOutgoing, type OutgoingLimits } from './outgoing.js';
import { admit, answerRefusal } from './relay-admission.js';
import { RelayConnection, type RelayContext } from './relay-connection.js';
import { RelayDocuments } from './relay-documents.js';
import { RelayMembers } from './relay-members.js';
import { relayCounts, type RelayCount, type RelayStats } from './relay-stats.js';

export interface RelayOptions {
  /** Default `127.0.0.1`; beyond loopback a token is required. */
  host?: string;
  /** 0 takes a free port. */
  port: number;
  /** Any of these is let in; undefined: everyone, on loopback only. */
  tokens: readonly string[] | undefined;
  /** Where documents are kept: what it holds is what a restarted relay has. */
  storage: StorageAdapterInterface;
  /** What clients must offer (see `clusterCheck()`), so that one relay serves one cluster. */
  clusterCheck?: string;
  /** Web origins whose pages may connect; none by default. */
  origins?: readonly string[];
  /** Larger frames end their connection (1009). Default 16 MiB. */
  maxFrameBytes?: number;
  /** Plain HTTP requests on the same port (`/healthz`, `/metrics`); 404 without it. */
  onRequest?: RequestListener;
  limits?: Partial<RelayLimits>;
  log: Log;
  clock: Clock;
}

export interface RelayLimits {
  connections: number;
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
  /** Says goodbye to every connection (1001), stores what is in memory, frees the port. Idempotent. */
  close(): Promise<void>;
}

const defaultLimits: RelayLimits = {
  connections: 256,
  helloMs: 5_000,
  awaitedDocuments: 1_024,
  intake: defaultIntake,
  outgoing: defaultOutgoing,
  keepalive: defaultKeepalive,
};

const drainMs = 3_000;

/**
 * Starts a relay: it keeps a copy of every document, passes ephemeral messages between the replicas of one
 * cluster without reading them, and says who is connected. No frame and no failing storage ends it.
 *
 * Rejects with a `SyncError`: `token-required`, `bad-token`, `storage`, `port-in-use`, `cannot-listen`.
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
  const tokens = new TokenRing(options.tokens);
  const limits = { ...defaultLimits, ...options.limits };
  const maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
  const counters = new Counters<RelayCount>(relayCounts);
  const peerId = `relay-${randomBytes(9).toString('hex')}` as PeerId;
  const documents = await RelayDocuments.open({
    peerId,
    storage: options.storage,
    maxAwaited: limits.awaitedDocuments,
    clock,
    log,
    counters,
  });
  const members = new RelayMembers();
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
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols: () => protocol,
  });
  const server = createServer(options.onRequest ?? notFound);
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    counters.add('httpFailures');
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else answerRefusal(socket, 400, 'Not an HTTP request.');
  });
  let draining = false;
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    const onError = (error: Error & { code?: string }) => {
      counters.add('httpFailures');
      log.debug({ code: error.code }, 'A connection was cut during its upgrade');
    };
    socket.on('error', onError);
    const full = draining || connections.size >= limits.connections;
    const admission = admit(request, { tokens, origins: options.origins ?? [], full });
    if (!admission.admitted) {
      counters.add(admission.count);
      log.warn({ status: admission.status, reason: admission.count }, 'The relay refused a connection');
      return answerRefusal(socket, admission.status, admission.message);
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('error', onError);
      counters.add('accepted');
      const connection = new RelayConnection(webSocket, admission.token, context);
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
  const url = `ws://${host.includes(':') ? `[${host}]` : host}:${port}`;
  log.info({ url, token: options.tokens !== undefined }, 'The relay listens');

  let closed: Promise<void> | undefined;
  const close = async () => {
    draining = true;
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
      return {
        ...counters.snapshot(),
        connections: connections.size,
        replicas: members.size,
        documents: count,
        awaitedDocuments: awaited,
      };
    },
    close: () => (closed ??= close()),
  };
}

const notFound: RequestListener = (_request, response) => {
  response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n');
};

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Rejects with `port-in-use` or `cannot-listen`; errors of the listening socket after that go to `later`. */
function listen(server: Server, host: string, port: number, later: (error: Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error & { code?: string }) => {
      const where = `${host}:${port}`;
      reject(
        error.code === 'EADDRINUSE'
          ? new SyncError('port-in-use', `The relay cannot listen on ${where}: the port is in use.`, {
              cause: error,
            })
          : new SyncError('cannot-listen', `The relay cannot listen on ${where}: ${error.code}.`, {
              cause: error,
            }),
      );
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      server.on('error', later);
      resolve();
    });
  });
}
