import { describe, expect, it } from 'vitest';
import { Instant } from '../../src/node/backup/instant.js';
import type { OpenDocument } from '../../src/node/open-documents.js';
import * as A from '@automerge/automerge';
import { genesisBytes } from '../../src/documents/genesis.js';
import { silentLog } from '../../src/index.js';
import { folder, node } from '../node/world.js';
import { fill, restore } from './world.js';

describe('a backup that is made while the node writes', () => {
  it('B-instant: is of one instant: a write over two documents is in both or in none', async () => {
    const one = await node([], { found: true });
    await fill(one, 0, 100);
    let made = false;
    const making = one.backups.create('asked').finally(() => (made = true));
    let written = 100;
    // On a disk that takes seconds there is an end to it.
    for (; !made && written < 2_000; written += 1) {
      fill(one, written, written + 1).catch((error: unknown) => expect.fail(String(error)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { path } = await making;
    expect(written).toBeGreaterThan(110);
    const dataDir = await folder();
    await restore(path, dataDir);
    const other = await node([], { dataDir, found: true });
    const rooms = [...other.keys('room')].map((key) => key.replace('matrix_room:', '')).sort();
    const marks = [...other.keys('mark')].map((key) => key.slice('mark:'.length).replace(/ .*/, '')).sort();
    expect(marks).toEqual(rooms);
    expect(rooms.length).toBeGreaterThanOrEqual(100);
    expect(rooms.length).toBeLessThan(written);
  });

  it('B-moved: begins anew when a document was closed before it was read', async () => {
    const document = A.load<Record<string, unknown>>(
      genesisBytes({ kind: 'actors', index: 0, generation: 0 }),
    );
    const open = { id: 'x', handle: { doc: () => document } } as unknown as OpenDocument;
    let isOpen = true;
    const stored = { ids: () => Promise.resolve([]), chunks: () => Promise.resolve([]) };
    const documents = { all: () => [open], get: () => (isOpen ? open : undefined) };
    const instant = new Instant(documents, stored, silentLog);
    isOpen = false;
    await expect(instant.read().next()).rejects.toMatchObject({ code: 'moved' });
  });
});
