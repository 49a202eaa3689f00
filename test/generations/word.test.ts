import * as A from '@automerge/automerge';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/index.js';
import type { OpenDocument, OpenDocuments } from '../../src/node/open-documents.js';
import { RelayWord } from '../../src/node/relay-word.js';
import { openDocuments } from '../node/documents.js';
import { eventually } from '../node/world.js';

async function opened(): Promise<{ documents: OpenDocuments; old: OpenDocument; current: OpenDocument }> {
  const documents = openDocuments();
  const old = await documents.open({ kind: 'actors', index: 0, generation: 0 });
  return { documents, old, current: await documents.open({ kind: 'actors', index: 1, generation: 0 }) };
}

/** A relay that says of the first document what stands nowhere here, and of the others what stands here. */
const saying = (unknown: OpenDocument, others: readonly OpenDocument[]) => ({
  relayHeads: () =>
    Promise.resolve(
      new Map([
        [
          'relay',
          new Map([
            [unknown.id as string, ['f'.repeat(64)]],
            ...others.map(({ id, handle }): [string, string[]] => [id, A.getHeads(handle.doc())]),
          ]),
        ],
      ]),
    ),
});

const freed = (document: OpenDocument): Promise<void> => eventually(() => !document.handle.isReady());

it('A6-word: a document that is closed while relays are waited for is waited for no more', async () => {
  const { documents, old, current } = await opened();
  const word = new RelayWord(saying(old, [current]), documents, systemClock);
  const waiting = word.caughtUp([old, current], { deadlineMs: 30_000 });
  expect(await word.caughtUp([old, current], { deadlineMs: 50 })).toBe(false);
  await documents.close(old);
  await freed(old);
  expect(await waiting).toBe(true);
});

it('A6-word: what a closed document held is asked for where it stands now', async () => {
  const { documents, old, current } = await opened();
  const word = new RelayWord(saying(old, [current]), documents, systemClock);
  let standing = [old];
  const waiting = word.acknowledged(() => standing, { deadlineMs: 30_000 });
  expect(await word.acknowledged(() => standing, { deadlineMs: 50 })).toBe(false);
  standing = [current];
  await documents.close(old);
  await freed(old);
  expect(await waiting).toBe(true);
  expect([...(await word.stored([old, current]))]).toEqual([current.id]);
});

it('A6-word: what was closed and stands nowhere else is not said to be stored', async () => {
  const { documents, old, current } = await opened();
  const word = new RelayWord(saying(old, [current]), documents, systemClock);
  const waiting = word.acknowledged(() => [old], { deadlineMs: 2000 });
  await documents.close(old);
  await freed(old);
  expect(await waiting).toBe(false);
  expect(await word.acknowledged(() => [old], { deadlineMs: 50 })).toBe(false);
});
