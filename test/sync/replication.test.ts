import { next as A } from '@automerge/automerge';
import { expect, test } from 'vitest';
import { startRelay } from '../../src/sync/relay.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import {
  allOpen,
  cluster,
  connect,
  found,
  headsOf,
  newId,
  relay,
  repo,
  storedHeads,
  TestStorage,
  until,
} from './world.js';

test('two repos with 65 documents converge through a relay, whichever side a document was changed on', async () => {
  const between = await relay();
  const [alpha, beta] = [connect('alpha', [between]), connect('beta', [between])];
  const [one, two] = [repo(alpha), repo(beta)];
  const ids = Array.from({ length: 65 }, newId);
  const mine = ids.map((id) => found(one, id));
  const theirs = ids.map((id) => found(two, id));
  mine.forEach((handle, index) => handle.change((doc) => void (doc['a'] = index)));
  theirs.forEach((handle, index) => handle.change((doc) => void (doc['b'] = -index)));
  await until('same heads everywhere', () =>
    mine.every((handle, index) => {
      const doc = handle.doc();
      return doc['b'] === -index && headsOf(handle).join() === headsOf(theirs[index]!).join();
    }),
  );
  const heads = await storedHeads(alpha, between, ids);
  await until('the relay has stored the same', async () => {
    const now = (await alpha.relayHeads(ids, 2_000)).get(between.url);
    return ids.every((id, index) => now?.get(id)?.join() === headsOf(mine[index]!).join());
  });
  expect(heads.size).toBe(65);
  expect(between.stats()).toMatchObject({ replicas: 2, documents: 65, awaitedDocuments: 0 });
}, 60_000);

test('a document made by one replica reaches another that asked for it before anyone had it', async () => {
  const between = await relay();
  const [alpha, beta] = [connect('alpha', [between]), connect('beta', [between])];
  await allOpen(alpha, beta);
  const [one, two] = [repo(alpha), repo(beta)];
  const id = newId();
  await expect(two.find(id)).rejects.toThrow('unavailable');
  found(one, id).change((doc) => void (doc['text'] = 'here'));
  await until('it arrived', () => two.handles[id]?.isReady());
  await until('whole', () => (two.handles[id]!.doc() as { text?: string }).text === 'here');
});

test('a replica whose repo is made long after its connection opened misses nothing', async () => {
  const between = await relay();
  const [alpha, beta] = [connect('alpha', [between]), connect('beta', [between])];
  const one = repo(alpha);
  const handle = found(one, newId());
  await allOpen(alpha, beta);
  await until('the relay has it', async () => {
    const heads = await beta.relayHeads([handle.documentId], 1_000);
    return heads.get(between.url)?.get(handle.documentId)?.length;
  });
  const two = repo(beta);
  await until('announced', () => two.handles[handle.documentId]?.isReady());
});

test('a relay killed and started again on its storage answers its heads truthfully and lets both converge', async () => {
  const storage = new TestStorage();
  const first = await relay({ storage });
  const [alpha, beta] = [connect('alpha', [first]), connect('beta', [first])];
  const [one, two] = [repo(alpha), repo(beta)];
  const id = newId();
  const [mine, theirs] = [found(one, id), found(two, id)];
  mine.change((doc) => void (doc['before'] = true));
  await until('synced', () => theirs.doc()['before']);
  await until('stored', async () => {
    const heads = (await alpha.relayHeads([id], 1_000)).get(first.url)?.get(id);
    return heads?.join() === headsOf(mine).join();
  });
  const before = headsOf(mine);
  await first.close();
  await until('both noticed', () => !alpha.channel.connected() && !beta.channel.connected());
  expect(await alpha.relayHeads([id], 100)).toEqual(new Map());
  mine.change((doc) => void (doc['apart-a'] = 1));
  theirs.change((doc) => void (doc['apart-b'] = 2));

  const second = await startRelay({
    port: first.port,
    tokens: undefined,
    storage,
    clusterCheck: cluster,
    log: silentLog,
    clock: systemClock,
  });
  try {
    const third = connect('gamma', [second]);
    await allOpen(third);
    const unknown = newId();
    const answered = await storedHeads(third, second, [id, unknown]);
    const known = [id, unknown].map((each) => answered.get(each));
    // Read from storage: what it had before, or already more; never nothing.
    expect(known[0]!.length).toBeGreaterThan(0);
    expect(A.hasHeads(mine.doc(), known[0]!) || known[0]!.join() === before.join()).toBe(true);
    expect(known[1]).toEqual([]);
    await until('converged', () => mine.doc()['apart-b'] === 2 && theirs.doc()['apart-a'] === 1);
    expect(headsOf(mine)).toEqual(headsOf(theirs));
  } finally {
    await second.close();
  }
});

test('with two relays the loss of one interrupts neither sync nor the channel', async () => {
  const [left, right] = [await relay(), await relay()];
  const [alpha, beta] = [connect('alpha', [left, right]), connect('beta', [left, right])];
  const [one, two] = [repo(alpha), repo(beta)];
  const id = newId();
  const [mine, theirs] = [found(one, id), found(two, id)];
  await allOpen(alpha, beta);
  await left.close();
  await until('noticed', () => alpha.status()[0]!.state !== 'open');
  expect(alpha.channel.connected()).toBe(true);
  expect([...alpha.channel.present().keys()]).toEqual(['beta']);
  mine.change((doc) => void (doc['over'] = 'the other'));
  await until('synced', () => theirs.doc()['over'] === 'the other');
  expect((await alpha.relayHeads([id], 1_000)).has(left.url)).toBe(false);
});

test('a broadcast of a document handle reaches the other replicas, and is not sent back in another name', async () => {
  const between = await relay();
  const [alpha, beta] = [connect('alpha', [between]), connect('beta', [between])];
  const id = newId();
  const [mine, theirs] = [found(repo(alpha), id), found(repo(beta), id)];
  mine.change((doc) => void (doc['shared'] = true));
  await until('synced', () => theirs.doc()['shared']);
  const heard: unknown[] = [];
  theirs.on('ephemeral-message', ({ message }) => heard.push(message));
  for (let n = 0; n < 20; n += 1) mine.broadcast({ n });
  await until('arrived', () => heard.length >= 20);
  mine.change((doc) => void (doc['after'] = true));
  await until('synced', () => theirs.doc()['after']);
  expect(heard).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })));
  expect(between.stats().closedImpersonation).toBe(0);
});

test('a save that fails neither ends the relay nor counts as stored, and is made up for', async () => {
  const storage = new TestStorage();
  const between = await relay({ storage });
  const alpha = connect('alpha', [between]);
  const handle = found(repo(alpha), newId());
  const stored = async () => (await alpha.relayHeads([handle.documentId], 30_000)).get(between.url);
  await until('stored', async () => (await stored())?.get(handle.documentId)?.length);
  storage.failing = true;
  handle.change((doc) => void (doc['lost'] = false));
  await until('the save failed', () => between.stats().storageFailures > 0);
  expect((await stored())?.has(handle.documentId)).toBe(false);
  storage.failing = false;
  await until('stored again', async () => {
    return (await stored())?.get(handle.documentId)?.join() === headsOf(handle).join();
  });
});

test('a save that hangs does not hold back the answer about other documents', async () => {
  const storage = new TestStorage();
  const between = await relay({ storage });
  const alpha = connect('alpha', [between]);
  const mine = repo(alpha);
  const [kept, stuck] = [found(mine, newId()), found(mine, newId())];
  const ids = [kept.documentId, stuck.documentId];
  const answer = async () => (await alpha.relayHeads(ids, 30_000)).get(between.url);
  await until('both stored', async () => [...((await answer())?.values() ?? [])].flat().length === 2);
  let release = () => {};
  storage.hanging = new Promise((resolve) => (release = resolve));
  const before = between.stats().repoIn;
  stuck.change((doc) => void (doc['more'] = 1));
  await until('it reached the relay', () => between.stats().repoIn > before);
  await until('left out', async () => !(await answer())?.has(stuck.documentId));
  expect((await storedHeads(alpha, between, [kept.documentId])).get(kept.documentId)).toEqual(headsOf(kept));
  release();
  storage.hanging = undefined;
  await until('stored after all', async () => {
    return (await answer())?.get(stuck.documentId)?.join() === headsOf(stuck).join();
  });
});

test('a third concurrent value that does not win, for which Automerge gives no patch, is passed on at once', async () => {
  const between = await relay();
  const first = A.change(
    A.init<Record<string, string>>({ actor: 'aa'.repeat(16) }),
    { time: 0 },
    (doc) => void (doc['made'] = 'yes'),
  );
  const id = newId();
  const holding = (name: string, actor: string) => {
    const relays = connect(name, [between]);
    const mine = A.change(
      A.load<Record<string, string>>(A.save(first), { actor: actor.repeat(16) }),
      (doc) => void (doc['key'] = name),
    );
    return { relays, handle: () => repo(relays).import<Record<string, string>>(A.save(mine), { docId: id }) };
  };
  const one = holding('one', 'ff').handle();
  const two = holding('two', 'ee').handle();
  await until('two values are in conflict', () => headsOf(one).length === 2 && headsOf(two).length === 2);
  const three = holding('three', '01').handle();
  await until('everyone holds all three', () =>
    [one, two, three].every((handle) => headsOf(handle).length === 3),
  );
});
