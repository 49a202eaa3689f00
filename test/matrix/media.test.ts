import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { openHomeserver } from '../../src/matrix/client.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';

const address = { server: 'example.org:8448', mediaId: 'abc' };

/** A homeserver whose media repository answers as the test says. */
async function repository(answer: (response: ServerResponse, request: IncomingMessage) => void) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const homeserver = openHomeserver({
    url: `${url}/`,
    accessToken: 'secret-token',
    log: silentLog,
    clock: systemClock,
    deadlineMs: 60_000,
  });
  const get = (most = 1000, signal?: AbortSignal, deadlineMs = 60_000) =>
    homeserver.media(address, { most, deadlineMs }, signal);
  return { asked, url, get };
}

test('asks the authenticated endpoint, the token in the header and nowhere else', async () => {
  const { asked, get } = await repository((response) => response.end(Buffer.from([1, 2, 255])));
  expect(await get()).toEqual(new Uint8Array([1, 2, 255]));
  expect(asked[0]?.url).toBe('/_matrix/client/v1/media/download/example.org%3A8448/abc');
  expect(asked[0]?.headers.authorization).toBe('Bearer secret-token');
});

test('M-media-size: a file that never ends is given up at the bound, however it is sent', async () => {
  let closed = 0;
  const { get } = await repository((response) => {
    response.on('close', () => (closed += 1));
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(10_000)));
    };
    response.on('drain', more);
    more();
  });
  await expect(get(100_000)).rejects.toMatchObject({ code: 'refused', detail: { status: 413 } });
  await expect.poll(() => closed, { timeout: 30_000 }).toBe(1);
});

test('M-media-size: what unpacks to more than the bound is as large as that', async () => {
  const { get } = await repository((response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    response.end(gzipSync(Buffer.alloc(10_000_000)));
  });
  await expect(get(1_000_000)).rejects.toMatchObject({ code: 'refused', detail: { status: 413 } });
});

test('a declared length beyond the bound is refused unread; exactly the bound is read', async () => {
  const { get } = await repository((response) => {
    response.writeHead(200, { 'content-length': 1000 });
    response.end(Buffer.alloc(1000));
  });
  await expect(get(999)).rejects.toMatchObject({ code: 'refused', detail: { status: 413 } });
  expect(await get(1000)).toHaveLength(1000);
});

test('M-media-redirect: the token goes nowhere else', async () => {
  const elsewhere = await repository((response) => response.end('stolen'));
  const { get } = await repository((response) => {
    response.writeHead(307, { location: `${elsewhere.url}/file` });
    response.end();
  });
  await expect(get()).rejects.toMatchObject({ code: 'refused', detail: { status: 307 } });
  expect(elsewhere.asked).toEqual([]);
});

test('tells what is gone from what is out of reach', async () => {
  const matrix = (status: number, errcode: string) => (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', 'retry-after': '2' });
    response.end(JSON.stringify({ errcode, error: 'no' }));
  };
  const page = (status: number) => (response: ServerResponse) => {
    response.writeHead(status);
    response.end('<html>');
  };
  const failure = async (answer: (response: ServerResponse) => void) => {
    const { get } = await repository(answer);
    return get().then(
      () => undefined,
      (error: unknown) => error,
    );
  };
  expect(await failure(matrix(404, 'M_NOT_FOUND'))).toMatchObject({
    code: 'refused',
    detail: { status: 404, errcode: 'M_NOT_FOUND' },
  });
  expect(await failure(matrix(429, 'M_LIMIT_EXCEEDED'))).toMatchObject({
    code: 'rate-limited',
    detail: { retryAfterMs: 2000 },
  });
  expect(await failure(matrix(502, 'M_UNKNOWN'))).toMatchObject({ code: 'unreachable' });
  expect(await failure(page(502))).toMatchObject({ code: 'unreachable' });
  const broken = await failure((response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half', () => response.destroy());
  });
  expect(broken).toMatchObject({ code: 'unreachable' });
  expect(String(broken)).not.toContain('secret-token');
});

test('ends with the signal, and by its own deadline', async () => {
  const silent = await repository((response) => response.write('a'));
  const controller = new AbortController();
  const given = silent.get(1000, controller.signal);
  await expect.poll(() => silent.asked.length, { timeout: 30_000 }).toBe(1);
  controller.abort();
  await expect(given).rejects.toMatchObject({ code: 'aborted' });
  await expect(silent.get(1000, controller.signal)).rejects.toMatchObject({ code: 'aborted' });
  await expect(silent.get(1000, undefined, 50)).rejects.toMatchObject({ code: 'unreachable' });
});
