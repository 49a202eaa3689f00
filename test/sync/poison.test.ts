import { next as A } from '@automerge/automerge';
import type { DocHandle, DocumentId } from '@automerge/automerge-repo';
import { expect, test } from 'vitest';
import { tryMessage } from '../../src/sync/change-trial.js';
import { clusterCheck } from '../../src/sync/credentials.js';
import { CLUSTER, node, relay as nodesRelay } from '../node/world.js';
import { seeded } from '../storage/random.js';
import { seedOfRun, watched } from './attack.js';
import { bloom, bringing, manyOperations, poison } from './crafted.js';
import {
  allOpen,
  connect,
  headsOf,
  newId,
  rawClient,
  rawMember,
  relay,
  repo,
  TestStorage,
  token,
  until,
} from './world.js';
import { cluster, type Note } from './world.js';
import { viewerProtocol } from '../../src/sync/frame.js';

const kinds = Object.keys(poison(A.from<Note>({ a: 1 })));
/** What a relay that starts on this storage would have. */
function onDisk(storage: TestStorage, id: string): A.Doc<Note> {
  const chunks = [...storage.chunks].filter(([key]) => key.startsWith(id)).map(([, data]) => data);
  return chunks.reduce((loaded, chunk) => A.loadIncremental(loaded, chunk), A.init<Note>());
}

test.each(kinds)('R-trial: %s: the document goes on, in memory, at others and on disk', async (kind) => {
  const storage = new TestStorage();
  const started = await relay({ storage });
  const { id, mine, theirs, stillConverge } = await watched(started);
  await stillConverge();
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  attacker.send(['sync', id, bringing(poison(mine.doc())[kind]!)]);
  await until('ended', attacker.closed);
  expect(attacker.closed()?.code).toBe(4000);
  expect(started.stats().refusedChanges).toBe(1);
  await stillConverge();
  const loaded = A.load<Note>(A.save(theirs.doc()));
  expect(A.getHeads(loaded)).toEqual(headsOf(mine));
  await until('stored', () => A.getHeads(onDisk(storage, id)).join() === headsOf(mine).join());
});

test('R-trial: a document may also not be begun with what nobody can load', async () => {
  const started = await relay();
  const { stillConverge } = await watched(started);
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  const bad = poison(A.from<Note>({ a: 1 }));
  attacker.send(['sync', newId(), bringing(bad['runs of one']!)]);
  attacker.send(['sync', newId(), bringing(manyOperations(99_000))]);
  await stillConverge();
  const again = await rawMember(started.url, 'n');
  again.send(['attach']);
  const first = A.change(A.init<Note>(), { time: 0 }, (doc) => void (doc['a'] = 1));
  const id = newId();
  again.send(['sync', id, bringing(A.getLastLocalChange(first)!, poison(first)['runs of one']!)]);
  await until('ended', again.closed);
  expect(again.closed()?.code).toBe(4000);
});

test('R-trial: a document that has left memory is looked at before changes go to it', async () => {
  const started = await relay({ limits: { documentIdleMs: 200 } });
  const { id, mine, stillConverge } = await watched(started);
  await stillConverge();
  await until('out of memory', () => started.stats().documents === 0);
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  attacker.send(['sync', id, bringing(poison(mine.doc())['an object that is nowhere']!)]);
  await until('ended', attacker.closed);
  expect(attacker.closed()?.code).toBe(4000);
  await stillConverge();
});

test('a viewer whose summary would lock a document is ended, and the document goes on', async () => {
  const started = await relay({ tokens: [token('rw'), token('ro', 'viewer')] });
  const { id, mine, stillConverge } = await watched({ url: started.url, token: 'rw' });
  await stillConverge();
  const heads = headsOf(mine);
  for (const parts of [
    { have: [{ lastSync: [], bloom: bloom(1, 8, 4_294_967_295, 1) }] },
    { have: [{ lastSync: [], bloom: bloom(1, 0, 7, 0) }] },
    { need: [heads[0]!, heads[0]!] },
  ]) {
    const client = rawClient(started.url, { headers: { authorization: 'Bearer ro' } }, viewerProtocol);
    await until('open', () => client.socket.readyState === client.socket.OPEN);
    client.send(['hello', cluster, 'v', 'raw']);
    client.send(['attach']);
    client.send(['sync', id, A.encodeSyncMessage({ heads, need: [], have: [], changes: [], ...parts })]);
    await until('ended', client.closed);
    expect(client.closed()?.code).toBe(4000);
    await stillConverge();
  }
  expect(started.stats().closedMalformed).toBe(3);
});

test('whatever Automerge itself writes, by several hands at once, passes', () => {
  const random = seeded(seedOfRun());
  const below = (n: number) => Math.floor(random() * n);
  const keys = ['a', 'b', 'text', 'list', 'map', 'müller 🙂'];
  const values: (() => unknown)[] = [
    () => null,
    () => true,
    () => below(2 ** 31) - 2 ** 30,
    () => random() * 1e300,
    () => new A.ImmutableString('x'.repeat(below(400))),
    () => 'text '.repeat(below(100)),
    () => new Uint8Array(below(300)),
    () => new Date(below(2 ** 31)),
    () => new A.Counter(below(10)),
    () => ({ inner: below(5), list: [1, 'two', null] }),
    () => Array.from({ length: below(30) }, (_, n) => n),
  ];
  const edit = (doc: A.Doc<Note>): A.Doc<Note> =>
    A.change(doc, { time: below(2 ** 31), message: below(2) ? 'm'.repeat(below(300)) : '' }, (draft) => {
      for (let n = below(4); n >= 0; n -= 1) {
        const key = keys[below(keys.length)]!;
        const old = draft[key];
        if (below(5) === 0) delete draft[key];
        else if (Array.isArray(old) && below(2)) old.splice(below(old.length + 1), below(3), below(9), 'new');
        else if (typeof old === 'string' && below(2)) {
          A.splice(draft, [key], below(old.length + 1), 0, 'inserted 🙂');
        } else if (A.isCounter(old) && 'increment' in old) old.increment(below(5) - 2);
        else draft[key] = values[below(values.length)]!();
      }
    });
  let relayed = A.init<Note>();
  let hands = ['aa', 'bb01', 'cc'].map((actor) => A.init<Note>({ actor }));
  for (let round = 0; round < 40; round += 1) {
    hands = hands.map((doc) => (below(3) ? edit(doc) : doc));
    const [to, from] = [below(3), below(3)];
    if (below(4) === 0 && to !== from) hands[to] = A.merge(hands[to]!, A.clone(hands[from]!));
    const hand = hands[below(3)]!;
    const changes = A.getChangesSince(
      hand,
      A.getHeads(relayed).filter((head) => A.hasHeads(hand, [head])),
    );
    if (changes.length === 0) continue;
    const data = bringing(...(below(3) ? changes : [...changes].reverse()));
    expect(() => tryMessage(relayed, data)).not.toThrow();
    [relayed] = A.applyChanges(relayed, changes);
    expect(() => tryMessage(A.init(), bringing(A.save(hand)))).not.toThrow();
  }
  expect(A.getHistory(relayed).length).toBeGreaterThan(20);
});

test('R-fast: what spoils a document does not come beside the relay either, from one replica to another', async () => {
  const hub = await nodesRelay();
  const one = await node([hub]);
  const id = one.heads()[0]!.id as DocumentId;
  const links = connect('stranger', [hub], { clusterCheck: clusterCheck(CLUSTER) });
  await allOpen(links);
  const looking = repo(links);
  let seen: DocHandle<Note> | undefined;
  await until('found', async () => (seen = await looking.find<Note>(id).catch(() => undefined)));
  const spoiling = Object.values(poison(seen!.doc()));
  for (const bytes of [...spoiling, manyOperations(1_000_000)])
    links.channel.broadcast('change', { docId: id, bytes });
  await until('refused', () => one.counters().refusedChanges >= spoiling.length - 1);
  await one.change([{ kind: 'room', key: 'matrix_room:!a:x', fields: { chat_id: 'C1' } }], { id: '$1' });
  expect(one.read('room', 'matrix_room:!a:x')).toEqual({ chat_id: 'C1' });
  for (const { heads } of one.heads()) expect(heads.length).toBe(1);
  await until('the relay has it', async () => {
    const stored = (await links.relayHeads([id], 2_000)).get(hub.url)?.get(id);
    return stored?.join() === one.heads()[0]!.heads.join();
  });
});

test('R-greedy: who announces the most makes room, and the others bring their documents', async () => {
  const started = await relay({ limits: { awaitedDocuments: 40 } });
  const { stillConverge } = await watched(started);
  const greedy = await rawMember(started.url, 'greedy');
  greedy.send(['attach']);
  const announced = A.encodeSyncMessage({ heads: ['11'.repeat(32)], need: [], have: [], changes: [] });
  for (let n = 0; n < 40; n += 1) greedy.send(['sync', newId(), announced]);
  await until('all places are taken', () => started.stats().awaitedDocuments === 40);
  expect(greedy.closed()).toBeUndefined();
  const honest = await rawMember(started.url, 'honest');
  honest.send(['attach']);
  for (let n = 0; n < 10; n += 1) honest.send(['sync', newId(), announced]);
  await until('the greedy one is ended', greedy.closed);
  expect(greedy.closed()?.code).toBe(4005);
  await until(
    'taken in',
    () => honest.frames.filter(([kind]) => kind === 'sync' || kind === 'request').length >= 10,
  );
  expect(honest.closed()).toBeUndefined();
  expect(started.stats().awaitedDocuments).toBeLessThanOrEqual(40);
  expect(connect('late', [started])).toBeDefined();
  await stillConverge();
});
