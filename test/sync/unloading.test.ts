import { next as A } from '@automerge/automerge';
import { expect, test } from 'vitest';
import type { Relay, RelayOptions } from '../../src/sync/relay.js';
import { systemClock } from '../../src/time/clock.js';
import {
  allOpen,
  connect,
  found,
  headsOf,
  newId,
  rawMember,
  relay,
  repo,
  storedHeads,
  TestStorage,
  until,
  type Note,
} from './world.js';

const soon = { documentIdleMs: 300 };

/** Two replicas with `count` documents that the relay has stored, and does not have in memory any more. */
async function unloaded(count: number, options: Partial<RelayOptions> = {}) {
  const storage = new TestStorage();
  const started = await relay({ storage, limits: soon, ...options });
  const [alpha, beta] = [connect('alpha', [started]), connect('beta', [started])];
  const [one, two] = [repo(alpha), repo(beta)];
  const ids = Array.from({ length: count }, newId);
  const mine = ids.map((id) => found(one, id));
  const theirs = ids.map((id) => found(two, id));
  mine.forEach((handle, n) => handle.change((doc) => void (doc['n'] = n)));
  await until('synced', () => theirs.every((handle) => handle.doc()['n'] !== undefined));
  await gone(started);
  return { started, storage, alpha, beta, ids, mine, theirs };
}

const gone = (started: Relay) => until('out of memory', () => started.stats().documents === 0);

test('documents leave memory when nobody uses them, and come back for a change, whichever side it is on', async () => {
  const { started, mine, theirs, alpha } = await unloaded(20);
  expect(started.stats().documentsUnloaded).toBeGreaterThanOrEqual(20);
  for (let round = 0; round < 3; round += 1) {
    const [writer, reader] = round % 2 ? [theirs, mine] : [mine, theirs];
    writer[round]!.change((doc) => void (doc['round'] = round));
    await until('it came', () => reader[round]!.doc()['round'] === round);
    await gone(started);
  }
  const ids = mine.map(({ documentId }) => documentId);
  const stored = await storedHeads(alpha, started, ids);
  for (const handle of mine) expect(stored.get(handle.documentId)).toEqual(headsOf(handle));
});

test('R-heads: asking for heads brings no document back into memory, and is answered truthfully', async () => {
  const { started, ids, mine, alpha } = await unloaded(5);
  await until('asked while nobody said anything else of them', async () => {
    await gone(started);
    const before = started.stats().repoIn;
    for (let n = 0; n < 3; n += 1) {
      const stored = await storedHeads(alpha, started, ids);
      expect(ids.map((id) => stored.get(id))).toEqual(mine.map(headsOf));
    }
    const { repoIn, documents } = started.stats();
    if (repoIn !== before) return false;
    expect(documents).toBe(0);
    return true;
  });
});

test('a replica and a viewer that come later receive what is on disk alone', async () => {
  const { started, ids, mine, alpha, beta } = await unloaded(3);
  alpha.close();
  beta.close();
  const late = repo(connect('gamma', [started]));
  const looking = repo(connect('devtool', [started], { readOnly: true }));
  for (const [n, id] of ids.entries()) {
    for (const each of [late, looking]) {
      let handle: Awaited<ReturnType<typeof late.find<Note>>> | undefined;
      await until('it came', async () => {
        handle = await each.find<Note>(id).catch(() => undefined);
        return handle;
      });
      await until('whole', () => handle!.doc()['n'] === n);
      expect(headsOf(handle!)).toEqual(headsOf(mine[n]!));
    }
  }
});

test('R-viewer-live: a viewer goes on receiving when the document had left memory', async () => {
  const { started, ids, mine } = await unloaded(1);
  const viewer = connect('devtool', [started], { readOnly: true });
  await allOpen(viewer);
  const seen = await repo(viewer).find<Note>(ids[0]!);
  for (let n = 0; n < 3; n += 1) {
    await gone(started);
    mine[0]!.change((doc) => void (doc['again'] = n));
    await until('it came', () => seen.doc()['again'] === n);
  }
  expect(started.stats().closedReadOnly).toBe(0);
});

/** What a relay that starts on this storage would have. */
function onDisk(storage: TestStorage, id: string): A.Doc<Note> {
  const chunks = [...storage.chunks].filter(([key]) => key.startsWith(id)).map(([, data]) => data);
  return chunks.reduce((loaded, chunk) => A.loadIncremental(loaded, chunk), A.init<Note>());
}

test('R-empty: what is out of memory is whole on disk', async () => {
  const { started, storage, mine } = await unloaded(3);
  for (const handle of mine) handle.change((doc) => void (doc['more'] = true));
  await until('stored', () => mine.every((each) => onDisk(storage, each.documentId)['more'] === true));
  await gone(started);
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const each of mine) expect(A.getHeads(onDisk(storage, each.documentId))).toEqual(headsOf(each));
});

test('R-unload: what cannot be stored stays in memory until it is', async () => {
  let stopped: number | undefined;
  const clock = { ...systemClock, monotonic: () => stopped ?? systemClock.monotonic() };
  const { started, storage, mine, theirs, alpha } = await unloaded(1, { clock });
  // It is in use from here on until the storage has failed, however long that takes.
  stopped = systemClock.monotonic();
  mine[0]!.change((doc) => void (doc['a'] = 1));
  await until('it came', () => theirs[0]!.doc()['a'] === 1);
  storage.failing = true;
  mine[0]!.change((doc) => void (doc['b'] = 2));
  await until('it came', () => theirs[0]!.doc()['b'] === 2);
  await until('a save failed', () => started.stats().storageFailures > 0);
  stopped = undefined;
  const { documentsUnloaded } = started.stats();
  // What must not happen has no event of its own: three times as long as it would take.
  await new Promise((resolve) => setTimeout(resolve, 3 * soon.documentIdleMs));
  expect(started.stats()).toMatchObject({ documents: 1, documentsUnloaded });
  storage.failing = false;
  await gone(started);
  const id = mine[0]!.documentId;
  expect((await storedHeads(alpha, started, [id])).get(id)).toEqual(headsOf(mine[0]!));
  const doc = onDisk(storage, id);
  expect([doc['a'], doc['b']]).toEqual([1, 2]);
});

test('changes that come while documents go and come back are all kept, in a storm of both', async () => {
  const { started, mine, theirs } = await unloaded(8);
  for (let n = 0; n < 60; n += 1) {
    const handle = (n % 2 ? mine : theirs)[n % 8]!;
    handle.change((doc) => void (doc[`k${n}`] = n));
    await new Promise((resolve) => setTimeout(resolve, n % 7 === 0 ? 350 : 20));
  }
  await until('the same everywhere', () =>
    mine.every((handle, n) => headsOf(handle).join() === headsOf(theirs[n]!).join()),
  );
  expect(Object.keys(mine[0]!.doc()).length).toBeGreaterThan(6);
  expect(started.stats().storageFailures).toBe(0);
}, 60_000);

test('R-departed: replicas that come and go under ever new names leave nothing behind in a document that is in use', async () => {
  const started = await relay({ limits: { documentIdleMs: 60_000 } });
  const alpha = connect('alpha', [started]);
  const handle = found(repo(alpha), newId());
  handle.change((doc) => void (doc['here'] = 1));
  await until('stored', () => started.stats().documents === 1);
  for (let n = 0; n < 300; n += 1) {
    const guest = await rawMember(started.url, `guest${n % 10}`, { incarnation: `i${n}` });
    guest.send(['attach']);
    // Out of memory already, it is offered to nobody.
    const isOver = () => started.stats().documentsUnloaded > 0;
    await until('it was offered', () => isOver() || guest.frames.some(([kind]) => kind === 'sync'));
    guest.socket.terminate();
  }
  await until('read anew', () => started.stats().documentsUnloaded > 0);
  handle.change((doc) => void (doc['still'] = 1));
  const beta = repo(connect('beta', [started]));
  await until(
    'it came',
    async () => (await beta.find<Note>(handle.documentId).catch(() => undefined))?.doc()['still'],
  );
}, 60_000);
