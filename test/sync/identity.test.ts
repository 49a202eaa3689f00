import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeCbor } from '../../src/sync/codec.js';
import { allOpen, cluster, connect, newId, rawClient, rawMember, relay, until } from './world.js';

const body = encodeCbor('hello');

test('a frame in the name of another ends the connection and reaches nobody', async () => {
  const started = await relay();
  const victim = connect('victim', [started]);
  const heard: string[] = [];
  victim.channel.on('t', z.string(), (_text, from) => heard.push(from.replica));
  await allOpen(victim);
  for (const [replica, incarnation] of [
    ['victim', 'raw'],
    ['mallory', 'other-incarnation'],
    ['alpha', 'raw'],
  ] as const) {
    const mallory = await rawMember(started.url, 'mallory');
    mallory.send(['channel', null, 'mallory', 'raw', 1, 't', body]);
    mallory.send(['channel', null, replica, incarnation, 2, 't', body]);
    await until('ended', mallory.closed);
    expect(mallory.closed()?.code).toBe(4006);
  }
  const forger = await rawMember(started.url, 'mallory');
  forger.send(['attach']);
  forger.send(['ephemeral', newId(), 'victim/i1', 'session', 1, body]);
  await until('ended', forger.closed);
  expect(forger.closed()?.code).toBe(4006);
  expect(new Set(heard)).toEqual(new Set(['mallory']));
  expect(started.stats().closedImpersonation).toBe(4);
  expect(victim.stats().lost).toBe(0);
});

test('a replica id in use cannot be taken with another token', async () => {
  const started = await relay({ tokens: ['one', 'two'] });
  const owner = connect('alpha', [{ url: started.url, token: 'one' }]);
  await allOpen(owner);
  const thief = connect('alpha', [{ url: started.url, token: 'two' }]);
  await until('refused', () => thief.status()[0]!.reason === 'taken');
  expect(owner.stats().lost).toBe(0);
  expect(started.stats()).toMatchObject({ replicas: 1 });
});

test('a replica that connects again with its token replaces its older connection', async () => {
  const started = await relay();
  const watcher = await rawMember(started.url, 'watcher');
  const older = await rawMember(started.url, 'alpha', { incarnation: 'first' });
  const same = await rawMember(started.url, 'alpha', { incarnation: 'first' });
  await until('ended', older.closed);
  expect(older.closed()?.code).toBe(4001);
  const newer = await rawMember(started.url, 'alpha', { incarnation: 'second' });
  await until('ended', same.closed);
  newer.socket.terminate();
  await until('gone', () => watcher.frames.some(([kind]) => kind === 'gone'));
  const presence = watcher.frames.filter(([kind]) => kind === 'joined' || kind === 'gone');
  expect(presence).toEqual([
    ['joined', 'alpha', 'first'],
    ['joined', 'alpha', 'second'],
    ['gone', 'alpha', 'second'],
  ]);
});

test('a connection says hello first, once, and in time', async () => {
  const started = await relay({ limits: { helloMs: 100 } });
  const silent = rawClient(started.url);
  await until('ended', silent.closed);
  expect(silent.closed()?.code).toBe(4004);
  expect(started.stats()).toMatchObject({ replicas: 0, connections: 0 });

  // Those that do not say nothing have all the time that they need.
  const patient = await relay();
  const hasty = rawClient(patient.url);
  await until('open', () => hasty.socket.readyState === hasty.socket.OPEN);
  hasty.send(['attach']);
  await until('ended', hasty.closed);
  expect(hasty.closed()?.code).toBe(4000);

  const twice = await rawMember(patient.url, 'alpha');
  twice.send(['hello', cluster, 'beta', 'raw']);
  await until('ended', twice.closed);
  expect(twice.closed()?.code).toBe(4000);
  expect(patient.stats()).toMatchObject({ replicas: 0, connections: 0 });
});

test('a relay that closes says that it is draining', async () => {
  const started = await relay();
  const member = await rawMember(started.url, 'alpha');
  await started.close();
  await until('ended', member.closed);
  expect(member.closed()?.code).toBe(1001);
  await started.close();
});
