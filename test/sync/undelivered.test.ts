import { next as A } from '@automerge/automerge';
import { expect, onTestFinished, test, vi } from 'vitest';
import { allOpen, connect, found, headsOf, newId, rawMember, relay, repo, until } from './world.js';

/** The Repo gives up on a document after a minute; here after a tenth of a second. */
const REPO_PATIENCE_MS = 60_000;

function impatientRepo(): void {
  const real = globalThis.setTimeout;
  const spy = vi
    .spyOn(globalThis, 'setTimeout')
    .mockImplementation((run: () => void, ms?: number) => real(run, ms === REPO_PATIENCE_MS ? 100 : ms));
  onTestFinished(() => spy.mockRestore());
}

test('a replica that ends after it announced a document does not end the relay, which takes it from another', async () => {
  impatientRepo();
  const uncaught: unknown[] = [];
  const listen = (error: unknown): void => void uncaught.push(error);
  process.on('unhandledRejection', listen);
  onTestFinished(() => void process.off('unhandledRejection', listen));
  const started = await relay();
  const id = newId();
  const announced = A.change(A.init<Record<string, number>>(), { time: 0 }, (draft) => void (draft['a'] = 1));
  const [, message] = A.generateSyncMessage(announced, A.initSyncState());

  const killed = await rawMember(started.url, 'killed');
  killed.send(['attach']);
  killed.send(['sync', id, message!]);
  await until('announced', () => started.stats().awaitedDocuments === 1);
  killed.socket.terminate();
  await until('the Repo gave up on it', () => started.stats().undeliveredDocuments === 1);
  expect(uncaught).toEqual([]);

  const [alpha, beta] = [connect('alpha', [started]), connect('beta', [started])];
  const [mine, theirs] = [found(repo(alpha), id), found(repo(beta), id)];
  await allOpen(alpha, beta);
  mine.change((doc) => void (doc['b'] = 2));
  await until('they converge', () => headsOf(mine).join() === headsOf(theirs).join());
  expect(theirs.doc()['b']).toBe(2);
  expect(uncaught).toEqual([]);
});
