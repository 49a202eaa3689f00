import { expect, it } from 'vitest';
import { silentLog } from '../../src/index.js';
import { AuditStore } from '../../src/node/audit/store.js';
import type { OpenDocument } from '../../src/node/open-documents.js';
import { openDocuments } from '../node/documents.js';

it('H-turn: an archive that is asked for while it is being written is written whole, and read after that', async () => {
  const documents = openDocuments();
  const nothing: (() => void)[] = [];
  let asked: readonly OpenDocument[] = [];
  const store = new AuditStore({
    documents,
    storage: { loadRange: () => Promise.resolve([]) },
    word: {
      caughtUp: () => new Promise((resolve) => nothing.push(() => resolve(false))),
      acknowledged: (current) => {
        asked = current();
        return Promise.resolve(asked.every(({ id }) => documents.get(id) !== undefined));
      },
    },
    hasRelays: true,
    log: silentLog,
  });
  const archived = { index: 0, generation: 0, heads: ['a'.repeat(64)] };
  const reading = store.read(archived);
  await expect.poll(() => nothing.length).toBe(1);
  const writing = store.write(archived, ['a line']);
  nothing.shift()?.();
  expect(await reading).toBeUndefined();
  await writing;
  expect(asked.map(({ handle }) => handle.documentId)).toHaveLength(1);
  // The disk of this test gives nothing, so that it is fetched: what was saved is opened again.
  expect(await store.read(archived)).toEqual(['a line']);
});
