import { afterEach, expect, it } from 'vitest';
import { startHealth, type Check, type Health } from '../../src/telemetry/health.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';

let health: Health | undefined;
afterEach(() => health?.close());

async function serve(checks: Check[], metrics = new Metrics({ role: 'test' })) {
  health = await startHealth({ port: 0, role: 'test', checks, metrics, log: silentLog, deadlineMs: 100 });
  const { url } = health;
  return async (path: string, init?: RequestInit) => {
    const response = await fetch(url + path, init);
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      text: await response.text(),
    };
  };
}

it('is healthy and ready while no check gives a reason', async () => {
  const get = await serve([{ name: 'documents', kind: 'ready', ask: () => undefined }]);
  expect(await get('/healthz')).toMatchObject({ status: 200 });
  expect(JSON.parse((await get('/readyz?verbose')).text)).toEqual({
    version: 1,
    status: 'ok',
    role: 'test',
    reasons: [],
  });
});

it('a ready check that fails leaves the process healthy and says why it is not ready', async () => {
  const get = await serve([
    { name: 'documents', kind: 'ready', ask: () => 'waiting for peers' },
    { name: 'homeserver', kind: 'ready', ask: () => undefined },
  ]);
  expect((await get('/healthz')).status).toBe(200);
  const { status, text } = await get('/readyz');
  expect(status).toBe(503);
  expect(JSON.parse(text)).toMatchObject({
    status: 'unavailable',
    reasons: [{ check: 'documents', reason: 'waiting for peers' }],
  });
});

it('a live check that fails makes both fail; one that throws or hangs has failed', async () => {
  const get = await serve([
    {
      name: 'disk',
      kind: 'live',
      ask: () => {
        throw new Error('read-only');
      },
    },
    { name: 'hangs', kind: 'live', ask: () => new Promise(() => {}) },
  ]);
  for (const path of ['/healthz', '/readyz']) {
    const { status, text } = await get(path);
    expect(status).toBe(503);
    expect(text).toContain('read-only');
    expect(text).toContain('no answer within 100 ms');
  }
});

it('serves metrics named understudy_*, with gauges read at the time of asking', async () => {
  const metrics = new Metrics({ role: 'test' });
  let depth = 1;
  metrics.gauge('queue_depth', 'Depth.', () => depth);
  metrics.gauge('frames', 'Frames.', () => ({ bad: 2, good: 3 }), 'kind');
  expect(() => metrics.gauge('frames', 'Frames.', () => 1)).toThrow('already registered');
  metrics.counted('inbox', 'malformed');
  metrics.happened('answer', 'final');
  metrics.took('flush', 12);
  const get = await serve([], metrics);
  depth = 7;
  const { text, type } = await get('/metrics');
  expect(type).toContain('text/plain');
  expect(text).toContain('understudy_queue_depth{role="test"} 7');
  expect(text).toContain('understudy_frames{kind="bad",role="test"} 2');
  expect(text).toContain('understudy_errors_total{part="inbox",code="malformed",role="test"} 1');
  expect(text).toContain('understudy_events_total{event="answer",outcome="final",role="test"} 1');
  expect(text).toContain('understudy_duration_seconds_bucket{le="0.025",role="test",step="flush"} 1');
  const names = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(names.filter((line) => !line.startsWith('understudy_'))).toEqual([]);
});

it('refuses other paths and methods', async () => {
  const get = await serve([]);
  expect((await get('/')).status).toBe(404);
  expect((await get('/healthz', { method: 'POST' })).status).toBe(405);
});

it('a port in use rejects with EADDRINUSE', async () => {
  await serve([]);
  const metrics = new Metrics({ role: 'test' });
  const again = startHealth({ port: health?.port ?? 0, role: 'test', checks: [], metrics, log: silentLog });
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

it('notes say what an operator should know, as it stands now, and fail nothing', async () => {
  const said: string[] = [];
  const metrics = new Metrics({ role: 'test' });
  const options = { port: 0, role: 'test', checks: [], metrics, log: silentLog, notes: () => said };
  health = await startHealth(options);
  const look = async () => (await fetch(`${health?.url}/healthz`)).json();
  expect(await look()).toEqual({ version: 1, status: 'ok', role: 'test', reasons: [] });
  said.push('the last backup failed: the disk is full');
  expect(await look()).toEqual({ version: 1, status: 'ok', role: 'test', reasons: [], notes: said });
});

it('facts stand in both pages, and are asked for each time', async () => {
  let files = 1;
  const metrics = new Metrics({ role: 'test' });
  const facts = () => ({ data: { files } });
  health = await startHealth({ port: 0, role: 'test', checks: [], metrics, log: silentLog, facts });
  const look = async (path: string) => (await fetch(`${health?.url}${path}`)).json();
  expect(await look('/healthz')).toMatchObject({ version: 1, facts: { data: { files: 1 } } });
  files = 2;
  expect(await look('/readyz')).toMatchObject({ version: 1, facts: { data: { files: 2 } } });
});
