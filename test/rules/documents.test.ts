import * as A from '@automerge/automerge';
import type { PeerId } from '@automerge/automerge-repo';
import { expect, test } from 'vitest';
import { OpenDocuments } from '../../src/node/open-documents.js';
import { silentLog } from '../../src/telemetry/log.js';
import { systemClock } from '../../src/time/clock.js';
import { MemoryStorage } from '../node/world.js';

const CLUSTER = { kind: 'cluster' as const, index: 0, generation: 0 };

/** Opens the documents over a folder as a start does, and writes once. */
async function openAndWrite(storage: MemoryStorage, value: string) {
  const documents = new OpenDocuments({
    clusterId: 'cluster-of-the-test',
    peerId: 'replica' as PeerId,
    storage,
    clock: systemClock,
    log: silentLog,
    onFailed: () => {},
    onTouched() {},
    onIncomplete() {},
  });
  const opened = await documents.open(CLUSTER);
  const change = documents.change(opened, value, [], (draft) => {
    (draft['members'] as Record<string, unknown>)[`member:${value}`] = new A.ImmutableString(value);
  });
  await documents.saver.flush(opened.id);
  return { change, document: opened.handle.doc() };
}

test('A5: every opening of a document writes as a new Automerge actor', async () => {
  const storage = new MemoryStorage();
  const changes = [];
  for (const value of ['a', 'b', 'c']) changes.push((await openAndWrite(storage, value)).change);
  const actors = changes.map((change) => A.decodeChange(change).actor);
  expect(new Set(actors).size).toBe(3);
});

test('A5-restored: two processes over copies of one folder both keep what they wrote when they merge', async () => {
  const [one, copy] = [new MemoryStorage(), new MemoryStorage()];
  await openAndWrite(one, 'before');
  for (const { key, data } of await one.loadRange([])) await copy.save(key, data ?? new Uint8Array());
  const a = await openAndWrite(one, 'a');
  const b = await openAndWrite(copy, 'b');
  const merged = A.merge(A.clone(a.document), b.document);
  expect(Object.keys(merged['members'] as object).toSorted()).toEqual([
    'member:a',
    'member:b',
    'member:before',
  ]);
});
