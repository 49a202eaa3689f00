import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import type { Log } from '../../src/telemetry/log.js';
import { silentLog } from '../../src/telemetry/log.js';
import { httpPlatform } from '../../src/platform/http-client.js';
import { onSqlite } from './databases.js';
import { answer, ask, clientOf, eventually, newChat, turnsClock, world } from './world.js';

onSqlite((fresh) => {
  const call = async (
    url: string,
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = {},
  ) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'idempotency-key': 'k', ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const { error } = (await response.json()) as { error?: { code: string; message: string } };
    return `${response.status} ${error?.code}: ${error?.message}`;
  };

  it('answers every malformed request with a typed error, and goes on', async () => {
    const { platform, client } = await world(await fresh());
    const chat = await newChat(client, 'echo', 'room');
    const { url } = platform;
    const messages = `/v1/chats/${chat}/messages`;
    const good = JSON.stringify({ text: 'x', user: '@a:b' });
    expect(await call(url, 'POST', messages, 'not json')).toMatch(/^400 bad-request: /);
    expect(await call(url, 'POST', messages, '')).toMatch(/^400 bad-request: /);
    expect(await call(url, 'POST', messages, 'null')).toMatch(/^400 bad-request: /);
    expect(await call(url, 'POST', messages, '{"text":1,"user":"@a:b"}')).toMatch(
      /^400 bad-request: body\.text/,
    );
    expect(await call(url, 'POST', messages, '{"__proto__":{"text":"x"},"user":"u"}')).toMatch(
      /^400 bad-request: /,
    );
    expect(await call(url, 'POST', messages, '['.repeat(200_000))).toMatch(/^400 bad-request: /);
    expect(
      await call(url, 'POST', messages, JSON.stringify({ text: 'x'.repeat(1_100_000), user: 'u' })),
    ).toMatch(/^413 too-large: /);
    expect(await call(url, 'POST', messages, good, { 'idempotency-key': '' })).toMatch(/^400 missing-key: /);
    expect(await call(url, 'POST', messages, good, { 'idempotency-key': '%zz' })).toMatch(
      /^400 bad-request: /,
    );
    expect(await call(url, 'POST', messages, good, { 'idempotency-key': 'x'.repeat(600) })).toMatch(
      /^400 bad-request: /,
    );
    expect(await call(url, 'POST', '/v1/chats/none/messages', good)).toMatch(/^404 no-such-chat: /);
    expect(await call(url, 'POST', '/v1/chats/%ff/messages', good)).toMatch(/^400 bad-request: /);
    expect(await call(url, 'PUT', `/v1/chats/${chat}/contexts/a%00b`)).toMatch(/^400 bad-request: /);
    expect(await call(url, 'GET', '/v1/constructor')).toMatch(/^404 not-found: /);
    expect(await call(url, 'GET', '/v1')).toMatch(/^404 not-found: /);
    expect(await call(url, 'GET', '/')).toMatch(/^404 not-found: /);
    expect(await call(url, 'DELETE', '/v1/chats')).toMatch(/^405 method-not-allowed: /);
    expect(await call(url, 'GET', '/v1/invocations')).toMatch(/^400 bad-request: /);
    expect(await answer(client, chat, 'fine', 'x')).toBe('echo #1: x');
  });

  it('survives broken HTTP and callers that vanish in the middle of a body', async () => {
    const { platform, client } = await world(await fresh());
    for (const bytes of [
      'nonsense\r\n\r\n',
      'POST /v1/chats HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: 100\r\n\r\n{"agent"',
      'GET /v1/agents HTTP/1.1\r\nhost: x\r\nx: \0\r\n\r\n',
    ]) {
      const socket = connect(platform.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(bytes);
      await new Promise((resolve) => setImmediate(resolve));
      socket.destroy();
    }
    expect(await client.agents()).toHaveLength(2);
  });

  it('lets nobody in without the token, but answers the health check', async () => {
    const { platform } = await world(await fresh(), { token: 'right' });
    for (const token of [undefined, 'wrong', 'Right', '']) {
      const client = httpPlatform({
        url: platform.url,
        log: silentLog,
        ...(token === undefined ? {} : { token }),
      });
      await expect(client.agents()).rejects.toMatchObject({ code: 'refused', status: 401 });
    }
    expect(await httpPlatform({ url: platform.url, log: silentLog, token: 'right' }).agents()).toHaveLength(
      2,
    );
    const health = await fetch(`${platform.url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
  });

  it('writes neither message text nor tokens into its log', async () => {
    const lines: string[] = [];
    const record = (fields: object, message: string) =>
      void lines.push(JSON.stringify({ ...fields, message }));
    const log: Log = { debug: record, info: record, warn: record, error: record, child: () => log };
    const { platform, client } = await world(await fresh(), { log, token: 'tok-secret' });
    await expect(ask(client, 'c', 'k', 'text-secret')).rejects.toMatchObject({ status: 401 });
    const inside = httpPlatform({ url: platform.url, log, token: 'tok-secret' });
    const chat = await newChat(inside, 'drill');
    await ask(inside, chat, 'k', 'text-secret');
    await ask(inside, chat, 'f', 'text-secret fail');
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join('\n')).not.toMatch(/secret/);
  });

  it('serves a large answer whole to a reader that takes its time', async () => {
    const { client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const sizes: number[] = [];
    for await (const event of client.sendMessage('k', chat, {
      text: 'size 900000 stream 20',
      user: '@a:b',
    })) {
      if (event.type === 'final') sizes.push(event.text.length);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(sizes).toEqual([900_000]);
  });

  it('keeps a waiting stream alive with empty lines', async () => {
    const { platform } = await world(await fresh(), { keepAliveMs: 50 });
    const client = httpPlatform({ url: platform.url, log: silentLog, idleMs: 400, clock: turnsClock });
    const chat = await newChat(client, 'drill');
    expect(await answer(client, chat, 'k', 'wait 1')).toBe('drill #1: wait 1');
  });

  it('ends streams and refuses calls while it stops', async () => {
    const { platform, client } = await world(await fresh());
    const chat = await newChat(client, 'drill');
    const cut = ask(client, chat, 'k', 'wait 60');
    const outcome = expect(cut).rejects.toMatchObject({ code: 'unreachable' });
    await eventually(async () => {
      const stats = await fetch(`${platform.url}/v1/stats`);
      return (await stats.text()).includes('"running":1') ? true : undefined;
    });
    await platform.close();
    await outcome;
    await expect(clientOf(platform).agents()).rejects.toMatchObject({ code: 'unreachable' });
  });
});
