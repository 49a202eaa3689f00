import { next as A } from '@automerge/automerge';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../../src/time/clock.js';
import { syncMessage } from './attack.js';
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

test('R-awaited: a document that was announced and never came is forgotten, and makes room for another', async () => {
  impatientRepo();
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skipped };
  let skipped = 0;
  const started = await relay({ clock, limits: { awaitedDocuments: 10 } });
  const attacker = await rawMember(started.url, 'm');
  attacker.send(['attach']);
  for (let n = 0; n < 10; n += 1) attacker.send(['sync', newId(), syncMessage(1)]);
  await until('announced', () => started.stats().awaitedDocuments === 10);
  attacker.socket.terminate();
  skipped = 121_000;
  await until('forgotten', () => started.stats().awaitedDocuments === 0);
  expect(started.stats().documents).toBe(0);
  const late = found(repo(connect('gamma', [started])), newId());
  late.change((doc) => void (doc['new'] = true));
  await until('taken', () => started.stats().documents === 1);
}, 60_000);
