import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { Backoff } from '../../src/sync/backoff.js';
import { encodeFrame, protocol, type FrameFromRelay } from '../../src/sync/frame.js';
import { startRelay } from '../../src/sync/relay.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { allOpen, cluster, connect, newId, rawMember, relay, repo, TestStorage, until } from './world.js';

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that treats each TCP connection this way after its first bytes. */
async function tcpServer(answer: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
    onTestFinished(() => void socket.destroy());
  });
  return listening(server);
}

const http =
  (status: string, more = '') =>
  (socket: Socket) =>
    void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n${more}\r\n`);

// Each of these ended the process of the stock client: an error event without a listener, or one thrown in it.
test.each([
  ['an unknown host', () => Promise.resolve('ws://no-such-host.invalid:3030'), /ENOTFOUND|EAI_AGAIN/],
  ['nobody listening', () => Promise.resolve('ws://127.0.0.1:1'), /ECONNREFUSED/],
  ['401', () => tcpServer(http('401 Unauthorized')), /^http-401$/],
  ['503', () => tcpServer(http('503 Service Unavailable')), /^http-503$/],
  ['200, a plain web server', () => tcpServer(http('200 OK')), /^http-200$/],
  ['a redirect', () => tcpServer(http('302 Found', 'Location: http://127.0.0.1:1/\r\n')), /^http-302$/],
  ['a reset while connecting', () => tcpServer((socket) => socket.resetAndDestroy()), /ECONNRESET|hang up/],
  ['an end while connecting', () => tcpServer((socket) => void socket.end()), /hang up|ECONNRESET/],
  [
    'something that is not HTTP',
    () => tcpServer((socket) => void socket.end('SSH-2.0\r\n\r\n')),
    /HPE_|Parse/,
  ],
  [
    'half an upgrade, then a reset',
    () =>
      tcpServer((socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n', () =>
          socket.resetAndDestroy(),
        );
      }),
    /ECONNRESET|hang up/,
  ],
  [
    'an upgrade with a wrong key',
    () =>
      tcpServer((socket) => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
            'Sec-WebSocket-Accept: AAAA\r\n\r\n',
        );
      }),
    /Sec-WebSocket-Accept/,
  ],
] as [string, () => Promise<string>, RegExp][])(
  '%s ends no process: the link says why, tries again, and the repo works alone',
  async (_what, server, reason) => {
    const alpha = connect('alpha', [{ url: await server() }]);
    const alone = repo(alpha);
    await until('failed twice', () => alpha.stats().failed >= 2);
    expect(alpha.status()[0]!.reason).toMatch(reason);
    expect(alpha.channel.connected()).toBe(false);
    alpha.channel.broadcast('t', 'nobody hears it');
    await expect(alone.find(newId())).rejects.toThrow('unavailable');
    expect(await alpha.relayHeads([newId()], 50)).toEqual(new Map());
    alpha.close();
    const { failed } = alpha.stats();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(alpha.stats().failed).toBe(failed);
  },
);

/** A WebSocket server that says these things after the upgrade, in the place of a relay. */
async function falseRelay(...says: (FrameFromRelay | Uint8Array | string)[]): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => protocol });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    for (const each of says) socket.send(Array.isArray(each) ? encodeFrame(each) : each);
  });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await until('listening', () => server.address());
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const welcome: FrameFromRelay = ['welcome', 'relay-x', 1_000_000, []];

test.each([
  ['garbage', [new Uint8Array([1, 2, 3])]],
  ['a text frame', ['hello']],
  ['anything before welcome', [['joined', 'beta', 'b'] satisfies FrameFromRelay]],
  ['a second welcome', [welcome, welcome]],
  ['a sync message of garbage', [welcome, ['sync', newId(), new Uint8Array([9])] satisfies FrameFromRelay]],
] as [string, (FrameFromRelay | Uint8Array | string)[]][])(
  'a relay that says %s is left, counted and tried again',
  async (_what, says) => {
    const alpha = connect('alpha', [{ url: await falseRelay(...says) }]);
    const alone = repo(alpha);
    await until('left twice', () => alpha.stats().malformed >= 2);
    expect(alpha.status()[0]!.reason).toBe('malformed');
    expect(Object.keys(alone.handles)).toEqual([]);
  },
);

test('one bad relay of two does not disturb the other', async () => {
  const good = await relay();
  const bad = await falseRelay(new Uint8Array([0xf6]));
  const [alpha, beta] = [connect('alpha', [{ url: bad }, good]), connect('beta', [good])];
  await until('open to the good one', () => alpha.status()[1]!.state === 'open');
  await allOpen(beta);
  expect(alpha.channel.connected()).toBe(true);
  expect([...alpha.channel.present().keys()]).toEqual(['beta']);
  expect((await alpha.relayHeads([newId()], 30_000)).size).toBe(1);
});

test('a relay that comes up later is found at once, and one that comes back too', async () => {
  const first = await relay();
  const { port } = first;
  const alpha = connect('alpha', [first]);
  await allOpen(alpha);
  for (let round = 0; round < 3; round += 1) {
    await (round === 0 ? first.close() : undefined);
    await until('noticed', () => alpha.status()[0]!.state !== 'open');
    const again = await startRelay({
      port,
      tokens: undefined,
      storage: new TestStorage(),
      clusterCheck: cluster,
      log: silentLog,
      clock: systemClock,
    });
    await until('open again', () => alpha.status()[0]!.state === 'open');
    await again.close();
  }
});

test('settings that can never work are refused at once', () => {
  for (const url of ['http://127.0.0.1:1', 'nonsense', '', 'ws://user:secret@127.0.0.1:1']) {
    expect(() => connect('alpha', [{ url }])).toThrow(expect.objectContaining({ code: 'bad-relay-url' }));
  }
  const bad = { url: 'ws://127.0.0.1:1', token: 'line\nbreak' };
  expect(() => connect('alpha', [bad])).toThrow(expect.objectContaining({ code: 'bad-token' }));
  expect(() => connect('al/pha', [])).toThrow(expect.objectContaining({ code: 'bad-name' }));
});

test('waits grow from 50–100 ms to 2.5–5 s, spread by chance, and begin anew after a good connection', () => {
  const lowest = new Backoff(5_000, () => 0);
  const highest = new Backoff(5_000, () => 1);
  expect(Array.from({ length: 8 }, () => lowest.next())).toEqual([50, 100, 200, 400, 800, 1600, 2500, 2500]);
  expect(Array.from({ length: 8 }, () => highest.next())).toEqual([
    100, 200, 400, 800, 1600, 3200, 5000, 5000,
  ]);
  lowest.reset();
  expect(lowest.next()).toBe(50);
});

test('a silent other side is given up on both ends, a blocked one is not', async () => {
  // Ticks count and not time: so many that a busy machine, with a turn for each tick only, does not reach them.
  const keepalive = { intervalMs: 50, misses: 20 };
  const started = await relay({ limits: { keepalive } });
  const watcher = connect('watcher', [started], { keepalive });
  const blocked = await rawMember(started.url, 'blocked');
  const dead = await rawMember(started.url, 'dead');
  await until('both present', () => watcher.channel.present().size === 2);
  dead.socket.pause();
  blocked.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 250));
  blocked.socket.resume();
  await until('the dead one is gone', () => !watcher.channel.present().has('dead'));
  expect([...watcher.channel.present().keys()]).toEqual(['blocked']);
  expect(started.stats().closedDead).toBe(1);

  const mute = await tcpServer(() => undefined);
  const alpha = connect('alpha', [{ url: mute }], { keepalive });
  await until('given up', () => alpha.stats().failed > 0);
});

test('a replica that is blocked for longer than the keepalive does not take its own absence for the relay’s', async () => {
  const keepalive = { intervalMs: 50, misses: 4 };
  const started = await relay({ limits: { keepalive } });
  const alpha = connect('alpha', [started], { keepalive });
  await allOpen(alpha);
  const blockedTo = performance.now() + 600;
  while (performance.now() < blockedTo);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(alpha.stats().lost).toBe(0);
  expect(started.stats().closedDead).toBe(0);
});
