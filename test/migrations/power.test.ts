import * as A from '@automerge/automerge';
import { expect, it } from 'vitest';
import { assembled, chunksOf } from '../../src/backup/stored-document.js';
import { putRecord, readRecord, type Document } from '../../src/documents/document.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { documentId, type DocumentName } from '../../src/documents/ids.js';
import { raised } from '../../src/documents/migrations/lens.js';
import { schemaOf } from '../../src/documents/schema.js';
import { silentLog } from '../../src/index.js';
import { migrateStored } from '../../src/node/migrations/stored.js';
import { DurableStorage } from '../../src/storage/durable.js';
import { losePowerAtEveryCall } from '../storage/every-call.js';
import type { LosingDisk } from '../storage/losing-disk.js';
import { next } from './next-release.js';

const NAMES: DocumentName[] = (['cluster', 'routing'] as const).map((kind) => ({
  kind,
  index: 0,
  generation: 0,
}));
const count = (): void => {};

const storageOn = async (disk: LosingDisk): Promise<DurableStorage> => {
  const storage = new DurableStorage({ dir: '/data/documents', files: disk.files, log: silentLog });
  await storage.open();
  return storage;
};

const founded = (name: DocumentName): Document => {
  const document = A.load<Record<string, unknown>>(genesisBytes(name));
  if (name.kind !== 'routing') return document;
  return A.change(document, (draft) =>
    putRecord(
      draft,
      'room',
      'matrix_room:!a:x',
      new Map([['display_name', { value: 'one', stamp: 1, cause: '$1' }]]),
    ),
  );
};

it('power lost at every call of a migration: every document is whole at the one version or the other, what was said to be migrated is, and the same again does the rest', async () => {
  const found = new Set<string>();
  const losses = await losePowerAtEveryCall<string>({
    prepare: async (disk) => {
      await disk.files.makeFolder('/data/documents');
      await disk.files.syncFolder('/');
      await disk.files.syncFolder('/data');
      const storage = await storageOn(disk);
      for (const name of NAMES) {
        const id = documentId('c', name);
        await storage.save([id, 'snapshot', 'first'], A.save(founded(name)));
      }
      await storage.close(AbortSignal.timeout(60_000));
    },
    act: async (disk, say) => {
      const storage = await storageOn(disk);
      const save = async (key: string[], bytes: Uint8Array): Promise<void> => {
        await storage.save(key, bytes);
        say(key[0] ?? '');
      };
      await migrateStored({ stored: chunksOf(storage), schemas: next, save });
    },
    check: async (disk, said) => {
      const storage = await storageOn(disk);
      const stored = chunksOf(storage);
      const versions: number[] = [];
      for (const name of NAMES) {
        const id = documentId('c', name);
        const document = assembled(await stored.chunks(id));
        expect(A.getMissingDeps(document, [])).toEqual([]);
        const schema = schemaOf(document);
        expect([1, 2]).toContain(schema);
        if (said.includes(id)) expect(schema).toBe(2);
        versions.push(schema ?? 0);
        if (name.kind !== 'routing') continue;
        const room = raised('room', readRecord(document, 'room', 'matrix_room:!a:x', count)!, next);
        expect(room.get('title')?.value).toEqual({ text: 'one' });
      }
      found.add(versions.join());
      await migrateStored({ stored, schemas: next, save: (key, bytes) => storage.save(key, bytes) });
      for (const name of NAMES)
        expect(schemaOf(assembled(await stored.chunks(documentId('c', name))))).toBe(2);
      await storage.close(AbortSignal.timeout(60_000));
    },
  });
  expect(losses).toBeGreaterThan(50);
  // The cluster comes last.
  expect([...found].filter((one) => one === '2,1')).toEqual([]);
  expect([...found].sort()).toEqual(['1,1', '1,2', '2,2']);
}, 300_000);
