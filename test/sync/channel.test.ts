import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeCbor } from '../../src/sync/codec.js';
import { SeenMessages } from '../../src/sync/seen.js';
import { allOpen, connect, rawMember, relay, until } from './world.js';

const numbered = z.object({ n: z.int() });

test('every message arrives exactly once and in order over two relays', async () => {
  const relays = [await relay(), await relay()];
  const [alpha, beta] = [connect('alpha', relays), connect('beta', relays)];
  await allOpen(alpha, beta);
  const heard: number[] = [];
  beta.channel.on('n', numbered, ({ n }, from) => {
    expect(from).toEqual(alpha.channel.self);
    heard.push(n);
  });
  for (let n = 0; n < 500; n += 1) alpha.channel.broadcast('n', { n });
  await until('both copies of each came', () => {
    const { channelReceived, channelDuplicates } = beta.stats();
    return channelReceived + channelDuplicates === 1000;
  });
  expect(heard).toEqual(Array.from({ length: 500 }, (_, n) => n));
});

test('a message to one replica reaches that one only, and nobody hears itself', async () => {
  const started = await relay();
  const [alpha, beta, gamma] = ['alpha', 'beta', 'gamma'].map((name) => connect(name, [started])) as [
    ReturnType<typeof connect>,
    ReturnType<typeof connect>,
    ReturnType<typeof connect>,
  ];
  await allOpen(alpha, beta, gamma);
  const heard: string[] = [];
  for (const each of [alpha, beta, gamma]) {
    each.channel.on('t', z.string(), (text) => heard.push(`${each.channel.self.replica} ${text}`));
  }
  alpha.channel.send('beta', 't', 'to beta');
  alpha.channel.send('nobody', 't', 'to nobody');
  alpha.channel.broadcast('t', 'to all');
  await until('arrived', () => heard.length === 3);
  expect(heard.toSorted()).toEqual(['beta to all', 'beta to beta', 'gamma to all']);
});

test('bodies of every JSON kind and bytes arrive as they were', async () => {
  const started = await relay();
  const [alpha, beta] = [connect('alpha', [started]), connect('beta', [started])];
  await allOpen(alpha, beta);
  const body = { a: [1, -2.5, null, true], s: 'ü'.repeat(1000), n: { deep: {} }, ms: 1_760_000_000_000 };
  const heard: unknown[] = [];
  beta.channel.on('t', z.unknown(), (received) => heard.push(received));
  alpha.channel.broadcast('t', body);
  alpha.channel.broadcast('t', new Uint8Array([1, 2, 3]));
  await until('arrived', () => heard.length === 2);
  expect(heard[0]).toEqual(body);
  expect([...(heard[1] as Uint8Array)]).toEqual([1, 2, 3]);
});

test('the relay passes a body on that is not even CBOR, and the receiver counts and drops it', async () => {
  const started = await relay();
  const beta = connect('beta', [started]);
  await allOpen(beta);
  const heard: unknown[] = [];
  const stop = beta.channel.on('n', numbered, (received) => heard.push(received));
  const raw = await rawMember(started.url, 'alpha');
  raw.send(['channel', null, 'alpha', 'raw', 1, 'n', new Uint8Array([0xff, 0xff])]);
  raw.send(['channel', null, 'alpha', 'raw', 2, 'n', encodeCbor({ n: 'one' })]);
  raw.send(['channel', null, 'alpha', 'raw', 3, 'n', encodeCbor({ n: 1 })]);
  await until('arrived', () => heard.length === 1);
  expect(beta.stats()).toMatchObject({ channelRefused: 2, lost: 0 });
  stop();
  raw.send(['channel', null, 'alpha', 'raw', 4, 'n', encodeCbor({ n: 2 })]);
  await until('came', () => beta.stats().channelReceived === 4);
  expect(heard).toEqual([{ n: 1 }]);
});

test('a handler that throws is counted and hinders no other', async () => {
  const started = await relay();
  const [alpha, beta] = [connect('alpha', [started]), connect('beta', [started])];
  beta.channel.onPresence(() => {
    throw new Error('a watcher');
  });
  await allOpen(alpha, beta);
  const heard: number[] = [];
  beta.channel.on('n', numbered, () => {
    throw new Error('a handler');
  });
  beta.channel.on('n', numbered, ({ n }) => heard.push(n));
  alpha.channel.broadcast('n', { n: 1 });
  await until('arrived', () => heard.length === 1);
  expect(beta.stats().channelHandlerFailures).toBeGreaterThan(1);
  expect(beta.stats().lost).toBe(0);
});

test('presence follows who comes and goes, and nobody is present without a relay', async () => {
  const started = await relay();
  const alpha = connect('alpha', [started]);
  expect(alpha.channel.connected()).toBe(false);
  const seen: string[] = [];
  alpha.channel.onPresence(() => {
    const names = [...alpha.channel.present().keys()].toSorted().join();
    seen.push(`${alpha.channel.connected()}:${names}`);
  });
  await allOpen(alpha);
  const beta = connect('beta', [started]);
  const gamma = connect('gamma', [started]);
  await until('both are present', () => alpha.channel.present().size === 2);
  expect(alpha.channel.present().get('beta')).toEqual(beta.channel.self);
  await until('gamma knows all', () => gamma.channel.present().size === 2);
  beta.close();
  await until('beta is gone', () => !alpha.channel.present().has('beta'));
  await started.close();
  await until('no relay', () => !alpha.channel.connected());
  expect(alpha.channel.present().size).toBe(0);
  expect(seen.at(0)).toBe('true:');
  expect(seen.at(-1)).toBe('false:');
  expect(beta.channel.connected()).toBe(false);
});

test('a replica that one relay lost and another still sees is present', async () => {
  const [left, right] = [await relay(), await relay()];
  const alpha = connect('alpha', [left, right]);
  await allOpen(alpha);
  const onLeft = await rawMember(left.url, 'beta', { incarnation: 'b' });
  const onRight = await rawMember(right.url, 'beta', { incarnation: 'b' });
  await until('present', () => alpha.channel.present().has('beta'));
  let changes = 0;
  alpha.channel.onPresence(() => (changes += 1));
  onLeft.socket.terminate();
  await until('one relay said so', () => changes > 0);
  expect([...alpha.channel.present().keys()]).toEqual(['beta']);
  onRight.socket.terminate();
  await until('gone', () => alpha.channel.present().size === 0);
});

test('sending without a relay, while one is closing, and after the end does nothing', async () => {
  const started = await relay();
  const alpha = connect('alpha', [started]);
  alpha.channel.broadcast('t', 'early');
  await allOpen(alpha);
  const closing = started.close();
  for (let n = 0; n < 100; n += 1) {
    alpha.channel.broadcast('t', n);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closing;
  alpha.channel.broadcast('t', 'late');
  alpha.close();
  alpha.channel.broadcast('t', 'later');
  alpha.close();
  expect(alpha.status()[0]).toMatchObject({ state: 'closed' });
});

test('the memory of delivered messages is bounded, and what fell out of it counts as delivered', () => {
  const seen = new SeenMessages();
  expect([seen.firstTime('a', 1), seen.firstTime('a', 1), seen.firstTime('b', 1)]).toEqual([
    true,
    false,
    true,
  ]);
  expect(seen.firstTime('a', 3)).toBe(true);
  expect(seen.firstTime('a', 2)).toBe(true);
  expect(seen.firstTime('a', 2)).toBe(false);
  for (let seq = 4; seq < 30_000; seq += 1) expect(seen.firstTime('a', seq)).toBe(true);
  expect(seen.firstTime('a', 5)).toBe(false);
  expect(seen.firstTime('a', 29_999)).toBe(false);
  expect(seen.firstTime('b', 1)).toBe(false);
});
