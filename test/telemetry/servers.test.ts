import { mkdtemp, rm } from 'node:fs/promises';
import { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { askControl, controlPath, startControl } from '../../src/telemetry/control.js';
import { startHealth } from '../../src/telemetry/health.js';
import { silentLog, type Log } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';

/** The server that listens while `start` runs. */
async function listening<T>(start: () => Promise<T>): Promise<{ server: Server; started: T }> {
  const spy = vi.spyOn(Server.prototype, 'listen');
  const started = await start();
  const [server] = spy.mock.contexts as Server[];
  spy.mockRestore();
  return { server: server!, started };
}

const noMoreFiles = (): Error => Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' });

it('a control socket that cannot accept a connection says so, and accepts the next', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'understudy-control-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields) => errors.push(fields) };
  const path = controlPath(dir);
  const { server, started } = await listening(() =>
    startControl({ path, log, handlers: { echo: (it) => it } }),
  );
  onTestFinished(() => started.close());
  server.emit('error', noMoreFiles());
  expect(errors).toMatchObject([{ part: 'control', error: { code: 'EMFILE' } }]);
  expect(await askControl(path, 'echo', { a: 1 })).toEqual({ a: 1 });
});

it('health pages whose server cannot accept a connection say so, and answer the next', async () => {
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields) => errors.push(fields) };
  const metrics = new Metrics({ role: 'test' });
  const { server, started } = await listening(() =>
    startHealth({ port: 0, role: 'test', checks: [], metrics, log }),
  );
  onTestFinished(() => started.close());
  server.emit('error', noMoreFiles());
  expect(errors).toMatchObject([{ part: 'health', error: { code: 'EMFILE' } }]);
  expect((await fetch(`${started.url}/healthz`)).status).toBe(200);
});
