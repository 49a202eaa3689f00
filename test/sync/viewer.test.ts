import { next as A } from '@automerge/automerge';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { encodeCbor } from '../../src/sync/codec.js';
import { viewerProtocol } from '../../src/sync/frame.js';
import type { Relay } from '../../src/sync/relay.js';
import { systemClock } from '../../src/time/clock.js';
import {
  allOpen,
  cluster,
  connect,
  found,
  headsOf,
  newId,
  rawClient,
  relay,
  repo,
  storedHeads,
  token,
  until,
  type Note,
  type RawClient,
} from './world.js';

const tokens = [token('rw'), token('ro', 'viewer'), token('root', 'admin')];
const as = (started: Relay, secret: string) => ({ url: started.url, token: secret });
const view = (name: string, ...relays: Relay[]) =>
  connect(
    name,
    relays.map((each) => as(each, 'ro')),
    { readOnly: true },
  );

/** Two replicas with one document, and a relay that knows the three roles. */
async function replicas(options: Parameters<typeof relay>[0] = {}) {
  const started = await relay({ tokens, ...options });
  const [alpha, beta] = [connect('alpha', [as(started, 'rw')]), connect('beta', [as(started, 'rw')])];
  const id = newId();
  const [mine, theirs] = [found(repo(alpha), id), found(repo(beta), id)];
  await allOpen(alpha, beta);
  mine.change((doc) => void (doc['before'] = 1));
  await until('synced', () => theirs.doc()['before'] === 1);
  return { started, alpha, beta, id, mine, theirs };
}

/** A hand-made client with a viewer's token that was let in. */
async function rawViewer(started: Relay, name = 'mallory'): Promise<RawClient> {
  const client = rawClient(started.url, { headers: { authorization: 'Bearer ro' } }, viewerProtocol);
  await until('open', () => client.socket.readyState === client.socket.OPEN);
  client.send(['hello', cluster, name, 'raw']);
  client.send(['attach']);
  await until('welcome', () => client.frames.some(([kind]) => kind === 'welcome'));
  return client;
}

/** A change on top of what everybody has, as a sync message. */
function changeOn(doc: A.Doc<Note>, text: string): Uint8Array {
  const changed = A.change(A.clone(doc), { time: 0 }, (draft) => void (draft['forged'] = text));
  const changes = [A.getLastLocalChange(changed)!];
  return A.encodeSyncMessage({ heads: A.getHeads(changed), need: [], have: [], changes });
}

test('a viewer receives what there is, and every change at once', async () => {
  const { started, mine, theirs, id } = await replicas();
  const viewer = view('devtool', started);
  await allOpen(viewer);
  const seen = await repo(viewer).find<Note>(id);
  expect(seen.doc()['before']).toBe(1);
  for (const [n, handle] of [mine, theirs, mine].entries()) {
    handle.change((doc) => void (doc[`live${n}`] = n));
    await until('it came', () => seen.doc()[`live${n}`] === n);
  }
  expect(headsOf(seen)).toEqual(headsOf(mine));
  expect(viewer.stats().lost).toBe(0);
  expect(started.stats()).toMatchObject({ viewers: 1, replicas: 2, closedReadOnly: 0 });
});

test('a viewer that asked for a document before anyone had it receives it when somebody makes it', async () => {
  const { started, alpha } = await replicas();
  const viewer = view('devtool', started);
  const looking = repo(viewer);
  const id = newId();
  await allOpen(viewer);
  await expect(looking.find(id)).rejects.toThrow('unavailable');
  found(repo(connect('gamma', [as(started, 'rw')])), id).change((doc) => void (doc['made'] = true));
  await until('it came', () => looking.handles[id]?.isReady());
  await until('whole', () => (looking.handles[id]!.doc() as Note)['made']);
  expect(alpha.stats().lost).toBe(0);
});

test('a viewer is told of no document that it did not ask for', async () => {
  const { started, mine } = await replicas();
  const client = await rawViewer(started);
  mine.change((doc) => void (doc['more'] = 2));
  await until('stored', () => started.stats().repoOut > 0);
  client.send(['heads?', 1, [mine.documentId]]);
  await until('answered', () => client.frames.some(([kind]) => kind === 'heads'));
  expect(client.frames.filter(([kind]) => kind === 'sync' || kind === 'request')).toEqual([]);
});

test('R-viewer: changes of a viewer reach nobody, end its connection and are counted', async () => {
  const { started, mine, theirs, alpha, beta, id } = await replicas();
  const mallory = await rawViewer(started);
  mallory.send(['sync', id, changeOn(mine.doc(), 'by a viewer')]);
  await until('ended', mallory.closed);
  expect(mallory.closed()?.code).toBe(4007);
  mine.change((doc) => void (doc['after'] = true));
  await until('they converge', () => theirs.doc()['after'] === true);
  expect([mine.doc()['forged'], theirs.doc()['forged']]).toEqual([undefined, undefined]);
  expect((await storedHeads(alpha, started, [id])).get(id)).toEqual(headsOf(mine));
  expect(started.stats().closedReadOnly).toBe(1);
  expect([alpha.stats().lost, beta.stats().lost]).toEqual([0, 0]);
});

test('R-viewer-new: a viewer cannot begin a document either, nor make the relay wait for one', async () => {
  const { started, alpha } = await replicas();
  const mallory = await rawViewer(started);
  const id = newId();
  const doc = A.from({ mine: 1 });
  const [, offer] = A.generateSyncMessage(doc, A.initSyncState());
  mallory.send(['sync', id, offer!]);
  await until('told that nobody has it', () => mallory.frames.some(([kind]) => kind === 'doc-unavailable'));
  expect(started.stats()).toMatchObject({ documents: 1, awaitedDocuments: 0 });
  mallory.send(['sync', id, changeOn(A.init(), 'x')]);
  await until('ended', mallory.closed);
  expect((await storedHeads(alpha, started, [id])).get(id)).toEqual([]);
});

test.each(['ephemeral', 'channel'] as const)(
  'R-viewer-says: a viewer’s %s message reaches nobody and ends its connection',
  async (kind) => {
    const { started, alpha, mine, id } = await replicas();
    const heard: unknown[] = [];
    mine.on('ephemeral-message', (message) => heard.push(message));
    alpha.channel.on('t', z.unknown(), (said) => heard.push(said));
    const mallory = await rawViewer(started);
    const body = encodeCbor('hello');
    if (kind === 'channel') mallory.send(['channel', null, 'mallory', 'raw', 1, 't', body]);
    else mallory.send(['ephemeral', id, 'mallory/raw', 'session', 1, body]);
    await until('ended', mallory.closed);
    expect(mallory.closed()?.code).toBe(4007);
    expect(heard).toEqual([]);
    expect(started.stats().closedReadOnly).toBe(1);
  },
);

test('R-viewer-name: a viewer that calls itself as a replica does takes nothing from it', async () => {
  const { started, alpha, mine, theirs } = await replicas();
  const { replica, incarnation } = alpha.channel.self;
  const client = rawClient(started.url, { headers: { authorization: 'Bearer ro' } }, viewerProtocol);
  await until('open', () => client.socket.readyState === client.socket.OPEN);
  client.send(['hello', cluster, replica, incarnation]);
  client.send(['attach']);
  await until('welcome', () => client.frames.some(([kind]) => kind === 'welcome'));
  theirs.change((doc) => void (doc['still'] = 'mine'));
  await until('it came', () => mine.doc()['still'] === 'mine');
  expect(alpha.stats().lost).toBe(0);
  client.socket.terminate();
  await until('gone', () => started.stats().viewers === 0);
  theirs.change((doc) => void (doc['still'] = 'after'));
  await until('it came', () => mine.doc()['still'] === 'after');
});

test('replicas do not see viewers, and viewers see replicas come and go but hear nothing of what they say', async () => {
  const { started, alpha, beta } = await replicas();
  const client = await rawViewer(started);
  expect(client.frames.find(([kind]) => kind === 'welcome')?.[3]).toEqual(
    expect.arrayContaining([['alpha', alpha.channel.self.incarnation]]),
  );
  alpha.channel.broadcast('frozen', { answer: 'what a person was told' });
  beta.close();
  await until('told', () => client.frames.some((frame) => frame[0] === 'gone' && frame[1] === 'beta'));
  expect(client.frames.filter(([kind]) => kind === 'channel')).toEqual([]);
  expect([...alpha.channel.present().keys()]).toEqual([]);
});

test('R-circles: a viewer with changes of its own stays connected, sends none of them, and does not talk in circles', async () => {
  const { started, mine, theirs, id } = await replicas();
  const viewer = view('devtool', started);
  await allOpen(viewer);
  const seen = await repo(viewer).find<Note>(id);
  const before = started.stats().repoIn;
  seen.change((doc) => void (doc['local'] = 'only here'));
  // On top of all that the relay has, so that neither side thinks the other has what it has.
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(started.stats().repoIn - before).toBeLessThan(10);
  mine.change((doc) => void (doc['later'] = 1));
  await until('it came', () => seen.doc()['later'] === 1);
  expect(theirs.doc()['local']).toBeUndefined();
  expect(viewer.stats().lost).toBe(0);
  seen.broadcast({ not: 'sent' });
  mine.change((doc) => void (doc['last'] = 1));
  await until('it came', () => seen.doc()['last'] === 1);
  expect(started.stats().closedReadOnly).toBe(0);
});

test('a viewer over two relays carries nothing from one to the other', async () => {
  const [left, right] = [await relay({ tokens }), await relay({ tokens })];
  const viewer = view('devtool', left, right);
  const looking = repo(viewer);
  await allOpen(viewer);
  const id = newId();
  const onLeft = found(repo(connect('alpha', [as(left, 'rw')])), id);
  onLeft.change((doc) => void (doc['on'] = 'left'));
  await until('stored on the left', () => left.stats().documents === 1);
  await until('it came', async () => (await looking.find<Note>(id).catch(() => undefined))?.doc()['on']);
  const onRight = found(repo(connect('beta', [as(right, 'rw')])), id);
  onRight.change((doc) => void (doc['at'] = 'right'));
  await until('it came', () => (looking.handles[id]!.doc() as Note)['at'] === 'right');
  expect([onLeft.doc()['at'], onRight.doc()['on']]).toEqual([undefined, undefined]);
  expect([left.stats().closedReadOnly, right.stats().closedReadOnly, viewer.stats().lost]).toEqual([0, 0, 0]);
});

test('R-loop: heads that the relay does not have are not asked for', async () => {
  const { started, mine, id } = await replicas();
  const client = await rawViewer(started);
  const ahead = A.change(A.clone(mine.doc()), (doc) => void (doc['ahead'] = 1));
  const [, offer] = A.generateSyncMessage(ahead, A.initSyncState());
  client.send(['sync', id, offer!]);
  await until('answered', () => client.frames.some(([kind]) => kind === 'sync'));
  for (const frame of client.frames) {
    if (frame[0] === 'sync') expect(A.decodeSyncMessage(frame[2]).need).toEqual([]);
  }
});

test('R-cooldown: a viewer that wrote is refused for a while before the upgrade, and then let in', async () => {
  let skipped = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skipped };
  const { started, id, mine } = await replicas({ limits: { cooldownMs: 600_000 }, clock });
  const mallory = await rawViewer(started);
  mallory.send(['sync', id, changeOn(mine.doc(), 'again')]);
  await until('ended', mallory.closed);
  const again = rawClient(started.url, { headers: { authorization: 'Bearer ro' } }, viewerProtocol);
  await until('refused', again.closed);
  expect(again.closed()?.error).toContain('429');
  expect(started.stats().refusedCooling).toBe(1);
  await allOpen(connect('gamma', [as(started, 'rw')]));
  skipped = 600_000;
  await allOpen(view('devtool', started));
});

test('a viewer that asks for more documents than a cluster has is ended', async () => {
  const { started } = await replicas();
  const client = await rawViewer(started);
  const [, empty] = A.generateSyncMessage(A.init(), A.initSyncState());
  for (let n = 0; n < 4_200; n += 1) client.send(['request', newId(), empty!]);
  await until('ended', client.closed);
  expect(client.closed()?.code).toBe(4005);
  expect(started.stats()).toMatchObject({ documents: 1, closedTooManyDocuments: 1 });
});
