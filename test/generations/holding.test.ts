import * as A from '@automerge/automerge';
import type { PeerId, StorageKey } from '@automerge/automerge-repo';
import { expect, it } from 'vitest';
import { putRecord, type Document } from '../../src/documents/document.js';
import { productSchemas } from '../../src/documents/migrations/schemas.js';
import { silentLog, systemClock } from '../../src/index.js';
import { NodeCounters } from '../../src/node/counters.js';
import { cutId, documentOf, type Cut } from '../../src/node/generations/cut.js';
import { nextGeneration } from '../../src/node/generations/next-generation.js';
import { ShardGenerations } from '../../src/node/generations/shard.js';
import { StoredDocuments } from '../../src/node/generations/stored-documents.js';
import { OpenDocuments } from '../../src/node/open-documents.js';
import { atOnce } from '../../src/time/slices.js';
import { CLUSTER, eventually, folder, MemoryStorage } from '../node/world.js';
import { ACTOR, listingBases } from './bases.js';

/** Storage that says which documents were written. */
class ListingStorage extends MemoryStorage {
  readonly saved = new Set<string>();

  override async save(key: StorageKey, data: Uint8Array): Promise<void> {
    await super.save(key, data);
    this.saved.add(key[0] ?? '');
  }
}

/** The cut that a replica makes that holds no more than this. */
function cutOf(document: Document): Cut {
  const counters = new NodeCounters();
  const at = 1000;
  const inputs = { index: 0, generation: 1, at, settled: 0 };
  const bytes = atOnce(nextGeneration(document, inputs, listingBases, counters.countMalformed));
  const content = { parent: '', heads: A.getHeads(document), bytesHash: A.decodeChange(bytes).hash };
  return {
    ...content,
    id: cutId(content),
    index: 0,
    generation: 1,
    at,
    settledTo: 0,
    settled: false,
    moved: new Map(),
  };
}

it('A6-hold: what is taken over is not on disk before what it waited for where it came from', async () => {
  const storage = new ListingStorage();
  const documents = new OpenDocuments({
    clusterId: CLUSTER,
    peerId: 'p' as PeerId,
    storage,
    clock: systemClock,
    log: silentLog,
    onIncomplete: () => expect.unreachable(),
    onFailed: () => {},
    onTouched: () => {},
  });
  const disk = { documents: () => Promise.resolve([]), removeRange: () => Promise.resolve() };
  const shard = new ShardGenerations(0, {
    schemas: productSchemas,
    documents,
    stored: await StoredDocuments.open(await folder(), disk, { log: silentLog, clock: systemClock }),
    bases: listingBases,
    counters: new NodeCounters(),
    log: silentLog,
    replica: 'one',
    clock: systemClock,
    epoch: () => 1,
    sent: () => {},
    recorded: () => Promise.resolve(),
    members: () => ['one', 'away'],
    acknowledge: () => Promise.resolve(),
    settle: () => expect.unreachable(),
    moved: () => {},
  });
  await shard.open([]);
  const first = shard.current!;
  const cut = cutOf(first.handle.doc());

  // As the writer does it for an event that goes with a routing record.
  let routingIsOnDisk = (): void => {};
  documents.saver.hold(first.id, new Promise<void>((resolve) => (routingIsOnDisk = resolve)));
  const event = { value: { type: 'GO', ts: 1 }, stamp: 1, cause: '$1' };
  documents.change(first, '', [], (draft) => {
    putRecord(draft, 'event', `event:${ACTOR} $1`, new Map([['event', event]]));
  });

  shard.learn([cut]);
  await eventually(() => shard.current?.name.generation === 1);
  const { id } = shard.current!;
  expect(id).toBe(documents.idOf(documentOf(0, cut)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(storage.saved.has(id)).toBe(false);
  routingIsOnDisk();
  await eventually(() => storage.saved.has(id));
  await shard.close();
});
