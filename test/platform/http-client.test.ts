import { expect, it } from 'vitest';
import type { RunEvent } from '../../src/platform/client.js';
import { httpPlatform } from '../../src/platform/http-client.js';
import { silentLog } from '../../src/telemetry/log.js';
import { cut, scriptedServer, type Script } from './scripted-server.js';
import { turnsClock } from './world.js';

const prompt = { text: 'hi', user: '@alice:test' };

async function clientAgainst(
  script: Script,
  options: { answerMs?: number; idleMs?: number; token?: string } = {},
) {
  const server = await scriptedServer(script);
  return { client: httpPlatform({ url: server.url, log: silentLog, clock: turnsClock, ...options }), server };
}

async function collect(events: AsyncIterable<RunEvent>, into: RunEvent[] = []): Promise<RunEvent[]> {
  for await (const event of events) into.push(event);
  return into;
}

const stream =
  (...lines: string[]): Script =>
  (response) => {
    response.writeHead(200);
    response.end(lines.join(''));
  };

it('sends the key with every call, percent-encoded, and the token', async () => {
  const { client, server } = await clientAgainst(
    (response) =>
      void response.end(JSON.stringify({ platform_chat_id: 'c', agent: 'a', contexts: [], agents: [] })),
    { token: 'secret' },
  );
  await client.createChat('key 1', { agent: 'a', title: 't' });
  await client.branchChat('key/2', 'chat/x', { before: 'b' });
  await client.saveContext('kéy', 'c', 'my name');
  await client.loadContext('k4', 'c', 'my name');
  await client.cancel('k 5');
  await client.listContexts('c');
  await client.agents();
  expect(server.requests.map((r) => [r.method, r.path, r.headers['idempotency-key']])).toEqual([
    ['POST', '/v1/chats', 'key%201'],
    ['POST', '/v1/chats/chat%2Fx/branch', 'key%2F2'],
    ['PUT', '/v1/chats/c/contexts/my%20name', 'k%C3%A9y'],
    ['POST', '/v1/chats/c/contexts/my%20name/load', 'k4'],
    ['POST', '/v1/runs/k%205/cancel', 'k%205'],
    ['GET', '/v1/chats/c/contexts', undefined],
    ['GET', '/v1/agents', undefined],
  ]);
  expect(server.requests.every((r) => r.headers.authorization === 'Bearer secret')).toBe(true);
  expect(server.requests[1]?.body).toEqual({ before: 'b' });
});

it('reads events over torn chunks, empty lines and kinds it does not know, and stops at the end', async () => {
  const { client } = await clientAgainst(async (response) => {
    response.writeHead(200);
    const whole =
      '\n{"type":"delta","text":"ä😀"}\n\n{"type":"mood","x":1}\r\n{"type":"final","text":"done"}\n{"type":"delta"';
    for (const byte of Buffer.from(whole)) {
      response.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  expect(await collect(client.sendMessage('k', 'c', prompt))).toEqual([
    { type: 'delta', text: 'ä😀' },
    { type: 'final', text: 'done' },
  ]);
});

it('calls a stream without an end unreachable, after giving what had come', async () => {
  for (const ending of [(r: Parameters<Script>[0]) => void r.end(), cut]) {
    const { client } = await clientAgainst((response) => {
      response.writeHead(200);
      response.write('{"type":"delta","text":"a"}\n{"type":"final","te', () => ending(response));
    });
    const events: RunEvent[] = [];
    await expect(collect(client.sendMessage('k', 'c', prompt), events)).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(events).toEqual([{ type: 'delta', text: 'a' }]);
  }
});

it.each([
  ['not JSON', 'hello\n'],
  ['an event without its text', '{"type":"final"}\n'],
  ['no event', '[1]\n'],
  ['a line without an end', 'x'.repeat(9_000_000)],
])("calls a stream that is not a platform's unreachable: %s", async (_, body) => {
  const { client } = await clientAgainst(stream(body));
  await expect(collect(client.sendMessage('k', 'c', prompt))).rejects.toMatchObject({ code: 'unreachable' });
});

it('tells refused from unreachable by the status', async () => {
  const outcomes: unknown[] = [];
  for (const status of [400, 401, 404, 408, 422, 429, 500, 502, 302]) {
    const { client } = await clientAgainst((response) => {
      response.writeHead(status, { location: '/elsewhere' });
      response.end('{"error":{"code":"some-code","message":"why"}}');
    });
    const error = await client.createChat('k', { agent: 'a' }).catch((caught: unknown) => caught);
    outcomes.push([status, (error as { code: string }).code]);
    if (status === 404) expect((error as Error).message).toBe('HTTP 404 (some-code): why');
  }
  expect(outcomes).toEqual([
    [400, 'refused'],
    [401, 'refused'],
    [404, 'refused'],
    [408, 'unreachable'],
    [422, 'refused'],
    [429, 'unreachable'],
    [500, 'unreachable'],
    [502, 'unreachable'],
    [302, 'unreachable'],
  ]);
});

it('takes a page of something else, and a closed port, for unreachable', async () => {
  const { client } = await clientAgainst((response) => void response.end('<html>'));
  await expect(client.agents()).rejects.toMatchObject({ name: 'PlatformError', code: 'unreachable' });
  const nobody = httpPlatform({ url: 'http://127.0.0.1:1', log: silentLog });
  await expect(nobody.agents()).rejects.toMatchObject({
    code: 'unreachable',
    message: expect.stringMatching(/ECONN|bad port/),
  });
});

it('gives up a call that is not answered, and a stream that falls silent, but not one that is kept alive', async () => {
  const silent = await clientAgainst(() => undefined, { answerMs: 100 });
  await expect(silent.client.agents()).rejects.toMatchObject({ code: 'unreachable' });
  await expect(collect(silent.client.sendMessage('k', 'c', prompt))).rejects.toMatchObject({
    code: 'unreachable',
  });

  const falls = await clientAgainst((response) => void response.write('{"type":"delta","text":"a"}\n'), {
    idleMs: 100,
  });
  await expect(collect(falls.client.sendMessage('k', 'c', prompt))).rejects.toMatchObject({
    code: 'unreachable',
  });

  const kept = await clientAgainst(
    (response) => {
      let lines = 0;
      const timer = setInterval(() => {
        response.write('\n');
        if (++lines < 20) return;
        clearInterval(timer);
        response.end('{"type":"final","text":"x"}\n');
      }, 40);
    },
    { idleMs: 400, answerMs: 400 },
  );
  expect(await collect(kept.client.sendMessage('k', 'c', prompt))).toEqual([{ type: 'final', text: 'x' }]);
});

it("does not hold its caller's own pace against the platform", async () => {
  const { client } = await clientAgainst(
    stream('{"type":"delta","text":"a"}\n', '{"type":"final","text":"x"}\n'),
    { idleMs: 60 },
  );
  const events: RunEvent[] = [];
  for await (const event of client.sendMessage('k', 'c', prompt)) {
    events.push(event);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  expect(events).toHaveLength(2);
});

it('says aborted when its own signal ends a call or a stream, also before it began', async () => {
  const { client } = await clientAgainst((response) => void response.write('{"type":"delta","text":"a"}\n'));
  await expect(client.agents(AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
  const abort = new AbortController();
  const reading = (async () => {
    for await (const _ of client.sendMessage('k', 'c', prompt, abort.signal)) abort.abort();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'aborted' });
});

it('closes its connection when the reader leaves early', async () => {
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const { client } = await clientAgainst((response) => {
    response.once('close', closed);
    response.write('{"type":"delta","text":"a"}\n');
  });
  for await (const _ of client.sendMessage('k', 'c', prompt)) break;
  await gone;
});
