import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../../telemetry/log.js';
import type { Clock } from '../../time/clock.js';
import { PlatformStartError, Refusal } from './errors.js';
import { RunFeed } from './feed.js';
import { checkToken, readPath } from './request.js';
import type { Routes } from './routes.js';
import { streamRun } from './stream.js';

export interface ServerOptions {
  host: string;
  port: number;
  token: string | undefined;
  clock: Clock;
  log: Log;
  keepAliveMs: number;
  routes: Routes;
  /** Rejects when the service cannot work now. */
  check: () => Promise<void>;
  onCall?: OnCall | undefined;
}

/** For metrics: a call was answered with that HTTP status, or `broken` off. */
export type OnCall = (code: string) => void;

export interface RunningServer {
  port: number;
  /** Takes no more calls. Streams end when their feeds do; what is still open after that is cut by `cut`. */
  stopAccepting(): void;
  cut(): Promise<void>;
}

/** The HTTP edge: finds the route, answers in JSON or with a stream, turns every error into a typed one. */
export async function listen(options: ServerOptions): Promise<RunningServer> {
  const { log } = options;
  let stopping = false;
  const open = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    const handled = answer(options, request, response, stopping)
      .catch((error: unknown) => sendError(response, error, log))
      .finally(() => {
        open.delete(handled);
        options.onCall?.(response.writableEnded ? String(response.statusCode) : 'broken');
      });
    open.add(handled);
  });
  server.headersTimeout = 15_000;
  // Attachments over a slow line.
  server.requestTimeout = 90_000;
  await bind(server, options.host, options.port);
  server.on('error', (error) => log.error({ error: error.message }, 'http server failed'));
  return {
    port: (server.address() as AddressInfo).port,
    stopAccepting() {
      stopping = true;
      server.close();
      server.closeIdleConnections();
    },
    async cut() {
      server.closeAllConnections();
      await Promise.all(open);
    },
  };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(
          new PlatformStartError(
            'port-in-use',
            `port ${port} on ${host} is in use; choose another with --port`,
          ),
        );
      } else {
        reject(new PlatformStartError('host-unusable', `cannot listen on ${host}:${port} (${error.code})`));
      }
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

async function answer(
  options: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  stopping: boolean,
): Promise<void> {
  const { segments, query } = readPath(request);
  const [version = '', ...path] = segments;
  if (path.length === 0 && (version === 'healthz' || version === 'readyz')) {
    return sendHealth(options, response);
  }
  if (version !== 'v1') throw new Refusal('not-found', 'there is nothing here; the API is under /v1');
  checkToken(request, options.token);
  if (stopping) throw new Refusal('stopping', 'the platform is stopping');
  const { handle, params } = findRoute(options.routes, request.method ?? '', path);
  const result = await handle({ request, response, params, query });
  if (result instanceof RunFeed) await streamRun(response, result, options.clock, options.keepAliveMs);
  else send(response, 200, result);
}

function findRoute(routes: Routes, method: string, path: string[]) {
  let otherMethod = false;
  for (const [route, handle] of Object.entries(routes)) {
    const [wanted = '', pattern = ''] = route.split(' ');
    const segments = pattern.split('/');
    if (segments.length !== path.length) continue;
    if (!segments.every((segment, at) => segment === '*' || segment === path[at])) continue;
    if (wanted === method) return { handle, params: path.filter((_, at) => segments[at] === '*') };
    otherMethod = true;
  }
  if (otherMethod) throw new Refusal('method-not-allowed', `no ${method} here`);
  throw new Refusal('not-found', 'there is no such call');
}

async function sendHealth({ check, log }: ServerOptions, response: ServerResponse): Promise<void> {
  try {
    await check();
    send(response, 200, { status: 'ok' });
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'health check failed');
    send(response, 503, { status: 'failed', reason: 'the database does not answer' });
  }
}

function sendError(response: ServerResponse, error: unknown, log: Log): void {
  if (response.headersSent || response.destroyed) {
    if (!response.destroyed) log.error({ error: String(error) }, 'an answer broke off');
    response.destroy();
    return;
  }
  if (error instanceof Refusal) {
    // What is left of a body that we refused is not read; the connection cannot be used again.
    if (error.code === 'too-large') response.setHeader('connection', 'close');
    send(response, error.status, { error: { code: error.code, message: error.message } });
    return;
  }
  log.error({ error: error instanceof Error ? error.stack : String(error) }, 'a call failed');
  send(response, 500, { error: { code: 'internal', message: 'the platform failed; its log says why' } });
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
