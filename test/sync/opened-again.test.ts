import * as A from '@automerge/automerge';
import type { DocumentId, PeerId } from '@automerge/automerge-repo';
import { expect, test } from 'vitest';
import { nameOf } from '../../src/node/shards.js';
import type { OpenDocument, OpenDocuments } from '../../src/node/open-documents.js';
import type { Relays } from '../../src/sync/connect.js';
import type { Relay } from '../../src/sync/relay.js';
import { OpenedAgain } from '../../src/sync/opened-again.js';
import { peerIdOf } from '../../src/sync/repo-message.js';
import { openDocuments } from '../node/documents.js';
import { MemoryStorage } from '../node/world.js';
import { allOpen, connect, relay, storedHeads, until } from './world.js';

const name = nameOf('actors', 0);

/** The documents of one replica, over one connection to the relay. */
function replica(id: string, between: Relay, mostClosed = 10): [OpenDocuments, Relays] {
  const relays = connect(id, [between]);
  const documents = openDocuments({ peerId: peerIdOf(relays.channel.self), mostClosed });
  for (const adapter of relays.networkAdapters) documents.connect(adapter);
  return [documents, relays];
}

const heads = ({ handle }: OpenDocument): string => A.getHeads(handle.doc()).sort().join();

const keysIn = ({ handle }: OpenDocument): string[] => Object.keys(handle.doc()['events'] as object).sort();

function write(documents: OpenDocuments, to: OpenDocument, key: string): void {
  documents.change(to, 'a', [], (draft) => {
    (draft['events'] as Record<string, unknown>)[key] = new A.ImmutableString('{}');
  });
}

test(
  'R-anew: what came while a document was closed is there when it is opened again',
  () => openedAgain(10),
  60_000,
);

test(
  'R-untold: also where so many were closed that it is not remembered whom to tell',
  () => openedAgain(0),
  60_000,
);

async function openedAgain(mostClosed: number): Promise<void> {
  const between = await relay();
  const [[one, link], [two]] = [replica('one', between, mostClosed), replica('two', between)];
  let mine = await one.open(name);
  const theirs = await two.open(name);
  await allOpen(link);
  write(one, mine, 'before');
  write(two, theirs, 'beside');
  await until('both have both', () => heads(mine) === heads(theirs));
  for (const round of [1, 2, 3]) {
    await one.close(mine);
    write(two, theirs, `meanwhile ${round}`);
    await until(
      'the relay has it',
      async () => (await storedHeads(link, between, [mine.id])).get(mine.id)?.sort().join() === heads(theirs),
    );
    mine = await one.open(name);
    await until(`it came, round ${round}`, () => heads(mine) === heads(theirs));
    write(one, mine, `after ${round}`);
    await until(`ours goes out, round ${round}`, () => heads(mine) === heads(theirs));
  }
}

test('R-bounded: of documents that stay closed no more is kept than so many, and each peer is told of each once', () => {
  const sent: string[] = [];
  const listeners: ((about: { peerId: PeerId }) => void)[] = [];
  const network = {
    send: ({ documentId, targetId, data }: { documentId: string; targetId: string; data: Uint8Array }) =>
      void sent.push(`${documentId} ${targetId} ${A.decodeSyncMessage(data).heads.length}`),
    on: (_event: string, listener: (about: { peerId: PeerId }) => void) => listeners.push(listener),
  };
  const repo = { networkSubsystem: network, peers: ['p', 'q'] as PeerId[] };
  const again = new OpenedAgain(repo as never, 2);
  const data = A.encodeSyncMessage({ heads: ['00'.repeat(32)], need: [], have: [], changes: [] });
  const says = (documentId: string, targetId: string): string[] => {
    sent.splice(0);
    network.send({ type: 'sync', documentId, targetId, data } as never);
    return [...sent];
  };
  expect(says('d1', 'p')).toEqual(['d1 p 1']);
  for (let n = 1; n <= 50; n += 1) again.forgotten(`d${n}` as DocumentId);
  expect(again.size).toBe(2);
  // One that is remembered, one that is not, and one that was never open: once each, of each peer.
  for (const id of ['d50', 'd1', 'd99']) {
    expect(says(id, 'p')).toEqual([`${id} p 0`, `${id} p 1`]);
    expect(says(id, 'p')).toEqual([`${id} p 1`]);
    expect(says(id, 'q')).toEqual([`${id} q 0`, `${id} q 1`]);
  }
  // Closed and opened once more, it must be told again.
  again.forgotten('d1' as DocumentId);
  expect(says('d1', 'p')).toHaveLength(2);
  // Whoever meets us anew has nothing to forget.
  for (const listener of listeners) listener({ peerId: 'p' as PeerId });
  for (const id of ['d1', 'd2', 'd49']) expect(says(id, 'p')).toEqual([`${id} p 1`]);
  expect(says('d2', 'q')).toHaveLength(2);
});

test('R-opening: what a peer brings while a document is being opened is joined with what the disk gives', async () => {
  const between = await relay();
  const storage = new MemoryStorage();
  const before = openDocuments({ storage });
  const kept = await before.open(name);
  write(before, kept, 'kept');
  await before.close(kept);
  const [two] = replica('two', between);
  const theirs = await two.open(name);
  write(two, theirs, 'brought');

  const link = connect('one', [between]);
  const [adapter] = link.networkAdapters;
  await until(
    'the relay has it',
    async () => (await storedHeads(link, between, [kept.id])).get(kept.id)?.join() === heads(theirs),
  );
  let heard = false;
  const send = adapter!.send.bind(adapter);
  adapter!.send = (message) => {
    send(message);
    // The Repo has taken it in, and says so.
    if (message.data !== undefined && A.decodeSyncMessage(message.data).heads.join() === heads(theirs))
      heard = true;
  };

  const one = openDocuments({
    peerId: peerIdOf(link.channel.self),
    storage,
    fromBackup: async () => {
      one.connect(adapter!);
      await until('the relay has brought it', () => heard);
      return [];
    },
  });
  const mine = await one.open(name);
  expect(keysIn(mine)).toEqual(['brought', 'kept']);
  await until('the other has it too', () => heads(mine) === heads(theirs));
  await one.close(mine);
  expect(keysIn(await openDocuments({ storage }).open(name))).toEqual(['brought', 'kept']);
}, 60_000);
