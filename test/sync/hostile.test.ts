import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { encodeCbor } from '../../src/sync/codec.js';
import { changesMessage, syncMessage, watched } from './attack.js';
import { allOpen, connect, found, newId, rawClient, rawMember, relay, repo, until } from './world.js';

/** Two replicas that share a document through a relay, as the bystanders of every attack. */
async function bystanders(options: Parameters<typeof relay>[0] = {}) {
  const started = await relay(options);
  return { started, ...(await watched(started)) };
}

const malformed: [string, (id: string) => Uint8Array | string][] = [
  ['CBOR null', () => encodeCbor(null)],
  ['a number', () => encodeCbor(42)],
  ['a text frame', () => '["attach"]'],
  ['nothing', () => new Uint8Array()],
  ['an object', () => encodeCbor({ type: 'join', supportedProtocolVersions: ['1'] })],
  ['an unknown kind', () => encodeCbor(['join', 'me'])],
  ['a kind of the prototype', () => encodeCbor(['constructor'])],
  ['a missing part', () => encodeCbor(['sync'])],
  ['a surplus part', () => encodeCbor(['attach', 1])],
  ['two values', () => Buffer.concat([encodeCbor(['attach']), encodeCbor(['attach'])])],
  ['an array said to be huge', () => new Uint8Array([0x9a, 0x06, 0xb9, 0x5e, 0x00])],
  ['deep nesting', () => new Uint8Array(200_000).fill(0x81)],
  [
    'R-cbor: a big number',
    () => Buffer.from([0x81, 0xc2, 0x5a, 0, 0x40, 0, 0, ...Buffer.alloc(2 ** 22, 255)]),
  ],
  [
    'R-cbor: a definition of records',
    () => Buffer.from([0xd9, 0xdf, 0xff, 0x83, 0x19, 0x40, 0, 0x81, 0x61, 0x61, 1]),
  ],
  ['R-cbor: a value inside itself', () => Buffer.from([0x81, 0xd8, 28, 0x81, 0xd8, 29, 0])],
  [
    'R-cbor: a regular expression',
    () => Buffer.from([0x81, 0xd8, 27, 0x82, 0x66, ...Buffer.from('RegExp'), 0x61, 0x61]),
  ],
  ['R-cbor: a map of more than there is', () => Buffer.from([0x81, 0xba, 0, 0xff, 0, 0, 1, 1])],
  ['R-cbor: an array without end', () => Buffer.from([0x9f, 0x66, ...Buffer.from('attach'), 0xff])],
  [
    'R-cbor: a big number in an ephemeral message',
    (id) =>
      encodeCbor([
        'ephemeral',
        id,
        'm/raw',
        's',
        1,
        Buffer.from([0xc2, 0x5a, 0, 0x20, 0, 0, ...Buffer.alloc(2 ** 21, 255)]),
      ]),
  ],
  ['an invalid document id', () => encodeCbor(['request', '1'.repeat(27), syncMessage(0)])],
  ['a sync message of garbage', (id) => encodeCbor(['sync', id, new Uint8Array([1, 2, 3])])],
  ['an empty sync message', (id) => encodeCbor(['sync', id, new Uint8Array()])],
  ['a text as sync message', (id) => encodeCbor(['sync', id, 'text'])],
  [
    'an ephemeral message of garbage',
    (id) => encodeCbor(['ephemeral', id, 'm/raw', 's', 1, new Uint8Array([0x1c])]),
  ],
  [
    'a sequence number below zero',
    () => encodeCbor(['channel', null, 'm', 'raw', -1, 't', new Uint8Array()]),
  ],
  [
    'too many ids in one question',
    () => encodeCbor(['heads?', 1, Array.from({ length: 5000 }, () => newId())]),
  ],
];

test.each(malformed)('%s ends that connection only', async (_what, make) => {
  const { started, id, stillConverge } = await bystanders();
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  attacker.sendRaw(make(id));
  await until('ended', attacker.closed);
  expect(attacker.closed()?.code).toBe(4000);
  expect(started.stats().closedMalformed).toBe(1);
  await stillConverge();
});

test('a malformed frame before hello, and before any authentication of the wire, ends that connection only', async () => {
  const { started, stillConverge } = await bystanders();
  for (const [, make] of malformed) {
    const client = rawClient(started.url);
    await until('open', () => client.socket.readyState === client.socket.OPEN);
    client.sendRaw(make(newId()));
    await until('ended', client.closed);
    expect(client.closed()?.code).toBe(4000);
  }
  await stillConverge();
});

test('changes of a wrong checksum are not applied to a document that is there', async () => {
  const { started, id, mine, theirs, stillConverge } = await bystanders();
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  await until('the relay began', () => attacker.frames.some(([kind]) => kind === 'sync'));
  attacker.send(['sync', id, changesMessage(true)]);
  await stillConverge();
  expect([mine.doc()['text'], theirs.doc()['text']]).toEqual([undefined, undefined]);
});

test('who begins a new document with changes that cannot be applied is ended', async () => {
  const { started, stillConverge } = await bystanders();
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  const id = newId();
  attacker.send(['sync', id, syncMessage(1)]);
  await until('the relay asks for it', () => attacker.frames.some((frame) => frame[1] === id));
  attacker.send(['sync', id, changesMessage(true)]);
  await until('ended', attacker.closed);
  expect(attacker.closed()?.code).toBe(4000);
  expect(started.stats().refusedChanges).toBe(1);
  await stillConverge();
});

test('a frame over the limit ends that connection only, and a replica does not send one', async () => {
  const { started, stillConverge } = await bystanders({ maxFrameBytes: 64 * 1024 });
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['channel', null, 'm', 'raw', 1, 't', new Uint8Array(70_000)]);
  await until('ended', attacker.closed);
  expect(attacker.closed()?.code).toBe(1009);
  expect(started.stats().closedTooBig).toBe(1);

  const big = connect('gamma', [started]);
  await allOpen(big);
  big.channel.broadcast('t', 'x'.repeat(70_000));
  expect(big.stats()).toMatchObject({ channelDropped: 1 });
  const handle = found(repo(big), newId());
  handle.change((doc) => void (doc['big'] = randomBytes(100_000)));
  await until('kept back', () => big.stats().tooBig > 0);
  expect(big.stats().lost).toBe(0);
  await stillConverge();
});

test('bytes that are no WebSocket frame, no HTTP, or a cut upgrade end that connection only', async () => {
  const { started, stillConverge } = await bystanders();
  const upgrade =
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: understudy.v1\r\n\r\n';
  const attempts: (string | Uint8Array)[][] = [
    ['not http at all\r\n\r\n'],
    [upgrade, new Uint8Array([0xff, 0xff, 0xff, 0xff])],
    // An unmasked frame, which no client may send.
    [upgrade, new Uint8Array([0x82, 0x01, 0x00])],
    // The length of a frame of exabytes.
    [upgrade, new Uint8Array([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])],
    [upgrade.slice(0, 60)],
    [upgrade.replace('13', '99')],
    [upgrade.replace('dGhlIHNhbXBsZSBub25jZQ==', 'short')],
  ];
  for (const pieces of attempts) {
    const socket = connectTcp(started.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let ended = false;
    socket.on('close', () => (ended = true)).on('error', () => (ended = true));
    socket.resume();
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((resolve) =>
        socket
          .once('data', resolve)
          .once('close', resolve)
          .setTimeout(50, () => resolve(0)),
      );
    }
    socket.resetAndDestroy();
    await until('ended', () => ended);
  }
  await until('all forgotten', () => started.stats().connections === 2);
  await stillConverge();
});

test('5,000 requests for unknown documents leave nothing behind and are each answered', async () => {
  const { started, stillConverge } = await bystanders();
  const client = await rawMember(started.url, 'm');
  client.send(['attach']);
  const empty = syncMessage(0);
  for (let n = 0; n < 5_000; n += 1) client.send([n % 2 ? 'sync' : 'request', newId(), empty]);
  const answers = () => client.frames.filter(([kind]) => kind === 'doc-unavailable').length;
  await until('answered', () => answers() === 5_000);
  expect(started.stats()).toMatchObject({ documents: 1, awaitedDocuments: 0, unknownDocuments: 5_000 });
  await stillConverge();
});

test('who announces documents without end and delivers none is ended', async () => {
  const { started, stillConverge } = await bystanders({ limits: { awaitedDocuments: 50 } });
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  const announced = syncMessage(1);
  for (let n = 0; n < 100; n += 1) attacker.send(['sync', newId(), announced]);
  await until('ended', attacker.closed);
  expect(attacker.closed()?.code).toBe(4005);
  expect(started.stats().awaitedDocuments).toBe(50);
  await stillConverge();
});

test('a reader that never reads is dropped, and the others hear everything meanwhile', async () => {
  const outgoing = { softBytes: 64 * 1024, hardBytes: 4 * 1024 * 1024, stallMs: 300 };
  const { started, stillConverge } = await bystanders({ limits: { outgoing } });
  const sleeper = await rawMember(started.url, 'sleeper');
  const listener = await rawMember(started.url, 'listener');
  const talker = await rawMember(started.url, 'talker');
  sleeper.socket.pause();
  let seq = 0;
  const body = new Uint8Array(50_000);
  await until('dropped', () => {
    if (talker.socket.bufferedAmount < 1_000_000) {
      talker.send(['channel', null, 'talker', 'raw', (seq += 1), 't', body]);
    }
    return started.stats().closedSlow === 1;
  });
  const gone = () => listener.frames.some((frame) => frame[0] === 'gone' && frame[1] === 'sleeper');
  await until('said to be gone', gone);
  await until('all heard', () => listener.frames.filter(([kind]) => kind === 'channel').length === seq);
  await stillConverge();
});

test('a flood is read at the allowed rate, and the flooder is not cut off', async () => {
  const intake = { framesPerSecond: 1_000, burst: 100, pendingBytes: 1_000_000 };
  const { started, stillConverge } = await bystanders({ limits: { intake } });
  const flooder = await rawMember(started.url, 'm');
  const begin = performance.now();
  for (let seq = 0; seq < 1_500; seq += 1) {
    flooder.send(['channel', 'nobody', 'm', 'raw', seq, 't', new Uint8Array(2_000)]);
  }
  await stillConverge();
  const before = started.stats().framesIn;
  flooder.send(['heads?', 7, []]);
  await until('it came through', () => flooder.frames.some(([kind]) => kind === 'heads'));
  expect(performance.now() - begin).toBeGreaterThan(1_000);
  expect(started.stats().throttled).toBeGreaterThan(0);
  expect(started.stats().framesIn).toBeGreaterThanOrEqual(before);
  expect(flooder.closed()).toBeUndefined();
});

test('R-pings: pings are read at the rate of frames, for each is answered', async () => {
  // So few that also a machine on which a ping takes 20 ms is faster than it may be.
  const intake = { framesPerSecond: 50, burst: 20, pendingBytes: 1_000_000 };
  const { started, stillConverge } = await bystanders({ limits: { intake } });
  const pinger = await rawMember(started.url, 'm');
  const begin = performance.now();
  for (let n = 0; n < 70; n += 1) {
    const answered = new Promise((resolve) => pinger.socket.once('pong', resolve));
    pinger.socket.ping();
    await answered;
  }
  expect(performance.now() - begin).toBeGreaterThan(700);
  expect(started.stats().throttled).toBeGreaterThan(0);
  await stillConverge();
});

/** A hand-made upgrade, so that a frame can be begun and not finished. */
async function rawSocket(port: number): Promise<Socket> {
  const socket = connectTcp(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: understudy.v1\r\n\r\n',
  );
  await new Promise((resolve) => socket.once('data', resolve));
  return socket.resume();
}

test('R-held: what all connections hold together is bounded, and the one that holds the most goes first', async () => {
  const { started, stillConverge } = await bystanders({ limits: { heldBytes: 8_000_000 } });
  const begun = async (bytes: number) => {
    const socket = await rawSocket(started.port);
    // A masked binary frame of 15 MB, of which only so much ever comes.
    socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0xe0, 0, 0, 1, 2, 3, 4]));
    socket.write(Buffer.alloc(bytes));
    let ended = false;
    socket.on('close', () => (ended = true));
    return () => ended;
  };
  const small = await begun(1_000_000);
  const middle = await begun(3_000_000);
  await until('held', () => started.stats().heldBytes > 3_900_000);
  expect([small(), middle()]).toEqual([false, false]);
  const big = await begun(6_000_000);
  await until('the biggest is ended', big);
  expect([small(), middle()]).toEqual([false, false]);
  expect(started.stats().closedTooMuchMemory).toBe(1);
  await stillConverge();
});

test('R-stall: who reads nothing is dropped also when nothing more is sent to it', async () => {
  const outgoing = { softBytes: 64 * 1024, hardBytes: 64 * 1024 * 1024, stallMs: 300 };
  const { started, stillConverge } = await bystanders({ limits: { outgoing } });
  const sleeper = await rawMember(started.url, 'sleeper');
  const talker = await rawMember(started.url, 'talker');
  sleeper.socket.pause();
  // One at a time, until the operating system takes no more: then the relay holds it, and nobody says another word.
  for (let seq = 1; started.stats().greatestBacklogBytes <= outgoing.softBytes; seq += 1) {
    talker.send(['channel', 'sleeper', 'talker', 'raw', seq, 't', new Uint8Array(1_000_000)]);
    await until('passed on or dropped', () => {
      const { channelForwarded, channelDropped } = started.stats();
      return channelForwarded + channelDropped >= seq;
    });
  }
  await until('dropped', () => started.stats().closedSlow === 1);
  await stillConverge();
});
