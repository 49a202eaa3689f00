import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock, type Clock } from '../time/clock.js';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';

/** A question about the process; the answer is a reason why not, or undefined for "all is well". */
export interface Check {
  name: string;
  /** `live`: without it the process should be restarted. `ready`: without it others should not rely on it yet. */
  kind: 'live' | 'ready';
  ask(): string | undefined | Promise<string | undefined>;
}

/** Of the pages' JSON; raised when something in it changes its meaning or goes. */
const HEALTH_VERSION = 1;

/** What the pages tell beside yes or no, by name: plain JSON. Docs: docs/health.md. */
export type Facts = Record<string, unknown>;

export interface HealthOptions {
  host?: string;
  /** 0 takes a free one. */
  port: number;
  role: string;
  checks: Check[];
  /** What whoever looks should know though all is well. */
  notes?: string[] | (() => string[]);
  /** How things stand, for whoever looks and for `understudy doctor`. */
  facts?: () => Facts;
  metrics: Metrics;
  log: Log;
  clock?: Clock;
  /** A check that has not answered after this many milliseconds counts as failed. */
  deadlineMs?: number;
}

export interface Health {
  url: string;
  port: number;
  close(): Promise<void>;
}

/**
 * Serves `/healthz` (live checks), `/readyz` (all checks) and `/metrics`. The first two answer 200, or 503
 * with `{version, status, role, reasons: [{check, reason}]}`, and `notes` and `facts` where there are any. Rejects with the error of `listen` (`EADDRINUSE`, …).
 */
export async function startHealth(options: HealthOptions): Promise<Health> {
  const host = options.host ?? '127.0.0.1';
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/';
    answer(options, request.method ?? 'GET', path, response).catch((error: unknown) => {
      options.metrics.counted('health', 'failed');
      options.log.error({ part: 'health', path, error }, 'a health request failed');
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  await listen(server, options.port, host);
  // No more files for a connection, or the like: the next one may find some.
  server.on('error', (error) => {
    options.metrics.counted('health', 'failed');
    options.log.error({ part: 'health', error }, 'the server of the health pages failed');
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    close: () => close(server),
  };
}

async function answer(
  options: HealthOptions,
  method: string,
  path: string,
  response: ServerResponse,
): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    return send(response, 405, { version: HEALTH_VERSION, status: 'method not allowed' });
  }
  if (path === '/metrics') {
    const { type, text } = await options.metrics.page();
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
    return;
  }
  if (path !== '/healthz' && path !== '/readyz') {
    return send(response, 404, {
      version: HEALTH_VERSION,
      status: 'not found',
      paths: ['/healthz', '/readyz', '/metrics'],
    });
  }
  const asked = options.checks.filter((check) => path === '/readyz' || check.kind === 'live');
  const answers = await Promise.all(
    asked.map(async (check) => ({ check: check.name, reason: await ask(options, check) })),
  );
  const reasons = answers.filter(({ reason }) => reason !== undefined);
  const ok = reasons.length === 0;
  const said = typeof options.notes === 'function' ? options.notes() : (options.notes ?? []);
  const notes = said.length > 0 ? { notes: said } : {};
  const facts = options.facts ? { facts: options.facts() } : {};
  send(response, ok ? 200 : 503, {
    version: HEALTH_VERSION,
    status: ok ? 'ok' : 'unavailable',
    role: options.role,
    reasons,
    ...notes,
    ...facts,
  });
}

/** A check that throws or hangs has failed; it never takes the page down with it. */
async function ask(options: HealthOptions, check: Check): Promise<string | undefined> {
  const clock = options.clock ?? systemClock;
  const deadlineMs = options.deadlineMs ?? 2_000;
  let cancel = (): void => {};
  const late = new Promise<string>((resolve) => {
    cancel = clock.after(deadlineMs, () => resolve(`no answer within ${deadlineMs} ms`));
  });
  try {
    return await Promise.race([Promise.resolve(check.ask()), late]);
  } catch (error) {
    options.metrics.counted('health', 'check-failed');
    return error instanceof Error ? error.message : String(error);
  } finally {
    cancel();
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
    .end(`${JSON.stringify(body)}\n`);
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
