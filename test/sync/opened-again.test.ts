import * as A from '@automerge/automerge';
import { expect, test } from 'vitest';
import { nameOf } from '../../src/node/shards.js';
import type { OpenDocument, OpenDocuments } from '../../src/node/open-documents.js';
import type { Relays } from '../../src/sync/connect.js';
import type { Relay } from '../../src/sync/relay.js';
import { peerIdOf } from '../../src/sync/repo-message.js';
import { openDocuments } from '../node/documents.js';
import { MemoryStorage } from '../node/world.js';
import { allOpen, connect, relay, storedHeads, until } from './world.js';

const name = nameOf('actors', 0);

/** The documents of one replica, over one connection to the relay. */
function replica(id: string, between: Relay): [OpenDocuments, Relays] {
  const relays = connect(id, [between]);
  const documents = openDocuments({ peerId: peerIdOf(relays.channel.self) });
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

test('R-anew: what came while a document was closed is there when it is opened again', async () => {
  const between = await relay();
  const [[one, link], [two]] = [replica('one', between), replica('two', between)];
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
}, 60_000);

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
