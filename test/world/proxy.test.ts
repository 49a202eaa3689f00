import { connect } from 'node:net';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { Gate } from './gate.js';
import { MatrixRefusal, v3 } from './matrix-http.js';
import type { Person } from './person.js';
import { Proxy, isEventPut } from './proxy.js';
import { PutLog } from './put-log.js';
import { newPerson, sharedHomeserver } from './world.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const proxy = async (client = 'a', log = new PutLog(), target = sharedHomeserver().url) => {
  const made = await Proxy.start({ client, target, log });
  open.push(made);
  return made;
};

const put = (alice: Person, url: string, room: string, txn: string, text: string, deadlineMs = 60_000) =>
  fetch(new URL(v3('rooms', room, 'send', 'm.room.message', txn), url), {
    method: 'PUT',
    headers: { authorization: `Bearer ${alice.token}` },
    body: JSON.stringify({ msgtype: 'm.text', body: text }),
    signal: AbortSignal.timeout(deadlineMs),
  });

const texts = async (alice: Person, room: string) =>
  (await alice.history(room))
    .filter(({ type }) => type === 'm.room.message')
    .map(({ content }) => content.body);

test('a PUT whose answer is dropped is carried out; tried again under its id it gives one event, and is counted', async () => {
  const alice = await newPerson('alice');
  const room = await alice.createRoom();
  const [a, b] = [await proxy('a'), await proxy('b')];
  const { log } = a;
  const log2 = b.log;
  const back = a.all({ kind: 'drop-answer' }, isEventPut);
  await expect(put(alice, a.url, room, 'txn-1', 'one')).rejects.toThrow();
  back();
  expect((await put(alice, a.url, room, 'txn-1', 'one')).status).toBe(200);
  expect((await put(alice, b.url, room, 'txn-1', 'one')).status).toBe(200);
  expect(await texts(alice, room)).toEqual(['one']);
  expect(log.duplicates()).toEqual(['txn-1']);
  expect(log.raced()).toEqual([]);
  expect(log2.duplicates()).toEqual([]);
});

test('clients that share a log show which PUTs of different clients raced', async () => {
  const alice = await newPerson('alice');
  const room = await alice.createRoom();
  const log = new PutLog();
  const [a, b] = [await proxy('a', log), await proxy('b', log)];
  let second: Promise<Response> | undefined;
  a.onApplied(async () => {
    second ??= put(alice, b.url, room, 'txn-1', 'theirs');
    await second;
  });
  const first = await put(alice, a.url, room, 'txn-1', 'ours');
  expect(await first.json()).toEqual(await (await second)?.json());
  expect(await texts(alice, room)).toEqual(['ours']);
  expect(log.raced()).toEqual(['txn-1']);
  await put(alice, a.url, room, 'txn-2', 'alone');
  expect(log.raced()).toEqual(['txn-1']);
  expect(log.puts.map(({ client, status }) => [client, status])).toEqual([
    ['a', 200],
    ['b', 200],
    ['a', 200],
  ]);
});

test('a hook before the homeserver holds a PUT back', async () => {
  const alice = await newPerson('alice');
  const room = await alice.createRoom();
  const through = await proxy();
  let release = () => {};
  const held = new Promise<void>((arrived) => {
    through.onArrival(() => {
      arrived();
      return new Promise<void>((resolve) => (release = resolve));
    });
  });
  const sending = put(alice, through.url, room, 'txn-1', 'held');
  await held;
  expect(await texts(alice, room)).toEqual([]);
  release();
  expect((await sending).status).toBe(200);
  expect(await texts(alice, room)).toEqual(['held']);
});

test('429 carries its wait in body and header, 502 is no JSON, hanging outlasts a deadline, cut closes at once', async () => {
  const alice = await newPerson('alice');
  const room = await alice.createRoom();
  const through = await proxy();
  const back = through.all({ kind: 'refuse', status: 429, retryAfterMs: 1500 });
  const limited = await put(alice, through.url, room, 'txn-1', 'one');
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '2']);
  expect(await limited.json()).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 1500 });
  back();
  const back2 = through.all({ kind: 'refuse', status: 502 });
  expect((await put(alice, through.url, room, 'txn-1', 'one')).status).toBe(502);
  back2();
  const back3 = through.all({ kind: 'hang' });
  await expect(put(alice, through.url, room, 'txn-1', 'one', 200)).rejects.toThrow(/timeout/);
  back3();
  const back4 = through.all({ kind: 'cut' });
  await expect(put(alice, through.url, room, 'txn-1', 'one')).rejects.toThrow(/fetch failed/);
  back4();
  expect(await texts(alice, room)).toEqual([]);
  expect((await put(alice, through.url, room, 'txn-1', 'one')).status).toBe(200);
  expect(through.counts).toMatchObject({ pass: 1, refuse: 2, hang: 1, 'drop-answer': 0 });
});

test('a stream passes line by line, and is cut in the middle', async () => {
  const platform = createServer((_, answer) => {
    answer.write('one\n');
  }).listen(0, '127.0.0.1');
  await once(platform, 'listening');
  const { port } = platform.address() as { port: number };
  const through = await proxy('a', new PutLog(), `http://127.0.0.1:${port}`);
  const answer = await fetch(through.url);
  const reader = answer.body!.getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('one\n');
  through.all({ kind: 'cut' });
  await expect(reader.read()).rejects.toThrow();
  platform.closeAllConnections();
  platform.close();
});

test('a long poll passes, and its reader may go away', async () => {
  const alice = await newPerson('alice');
  const through = await proxy();
  const elsewhere = { ...alice.homeserver, url: through.url };
  const path = v3('sync');
  const { next_batch } = await alice.sync();
  const controller = new AbortController();
  const poll = fetch(new URL(`${path}?since=${next_batch}&timeout=30000`, elsewhere.url), {
    headers: { authorization: `Bearer ${alice.token}` },
    signal: controller.signal,
  });
  controller.abort();
  await expect(poll).rejects.toThrow();
  await expect(alice.call('GET', v3('rooms', '!none:nowhere', 'state'))).rejects.toBeInstanceOf(
    MatrixRefusal,
  );
});

test('a shut gate ends connections and lets nobody in until it opens', async () => {
  const echo = createServer((_, answer) => answer.end('here')).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { port } = echo.address() as { port: number };
  const gate = await Gate.start(port);
  open.push(gate, { close: async () => void echo.close() });
  const url = `http://127.0.0.1:${gate.port}`;
  expect(await (await fetch(url)).text()).toBe('here');
  const idle = connect(gate.port, '127.0.0.1');
  await once(idle, 'connect');
  const ended = once(idle, 'close');
  gate.shut();
  await ended;
  await expect(fetch(url)).rejects.toThrow();
  gate.open();
  expect(await (await fetch(url)).text()).toBe('here');
  echo.closeAllConnections();
});
