import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { expect, it } from 'vitest';
import { BackupFile } from '../../src/backup/backup-file.js';
import type { OpenReadable } from '../../src/backup/readable-file.js';
import { toBackUp } from '../../src/backup/stored-document.js';
import { writeBackup } from '../../src/backup/write-backup.js';
import { genesisBytes } from '../../src/documents/genesis.js';
import { documentId, type DocumentName } from '../../src/documents/ids.js';
import { losePowerAtEveryCall } from '../storage/every-call.js';
import { LosingDisk } from '../storage/losing-disk.js';

/** The data folder is there since long; `backups/` is not. */
const DIR = '/data';

const readFrom =
  (disk: LosingDisk): OpenReadable =>
  async (path) => {
    const bytes = Buffer.from(await disk.files.read(path));
    return {
      size: bytes.length,
      read: (position, length) => Promise.resolve(bytes.subarray(position, position + length)),
      close: () => Promise.resolve(),
    };
  };

async function* documents() {
  for (const kind of ['cluster', 'routing'] as const) {
    const name: DocumentName = { kind, index: 0, generation: 0 };
    const document = A.load<Record<string, unknown>>(genesisBytes(name));
    const one = toBackUp(documentId('cluster', name), document);
    if (one !== undefined) yield one;
    await Promise.resolve();
  }
}

const write = (disk: LosingDisk, name: string, open = readFrom(disk)) =>
  writeBackup({
    files: disk.files,
    open,
    path: join(DIR, 'backups', name),
    head: { cluster: '0'.repeat(64), replica: 'one', created_at: new Date(0).toISOString(), reason: 'asked' },
    documents: documents(),
    count: 2,
  });

it('B-sync: B-folder: B-name: power lost at every call: a file that has the name of a backup is whole, and one that was reported is there', async () => {
  const losses = await losePowerAtEveryCall<string>({
    prepare: async (disk) => {
      await disk.files.makeFolder(DIR);
      await disk.files.syncFolder('/');
    },
    act: async (disk, say) => {
      await write(disk, 'first.tar');
      say('first.tar');
    },
    check: async (disk, said) => {
      const folder = join(DIR, 'backups');
      const entries = (await disk.files.exists(folder)) ? await disk.files.list(folder) : [];
      const named = entries.map(({ name }) => name).filter((name) => name.endsWith('.tar'));
      expect(named).toEqual(expect.arrayContaining(said));
      for (const name of named) {
        const file = await BackupFile.open(join(folder, name), {}, readFrom(disk));
        await file.check({ load: true });
      }
      // What a loss left over is in nobody's way.
      await write(disk, 'first.tar');
    },
  });
  expect(losses).toBeGreaterThan(50);
}, 120_000);

it('B-read-back: a disk that keeps other bytes than it was given has no backup, and the one before stays', async () => {
  const disk = new LosingDisk();
  await disk.files.makeFolder(DIR);
  await write(disk, 'first.tar');
  const rotten: OpenReadable = async (path) => {
    const file = await readFrom(disk)(path);
    return {
      ...file,
      read: async (position, length) => {
        const bytes = Buffer.from(await file.read(position, length));
        const inFirstDocument = 512 + 40;
        if (position <= inFirstDocument && inFirstDocument < position + length)
          bytes[inFirstDocument - position]! ^= 1;
        return bytes;
      },
    };
  };
  await expect(write(disk, 'second.tar', rotten)).rejects.toMatchObject({ code: 'damaged' });
  const entries = await disk.files.list(join(DIR, 'backups'));
  expect(entries.map(({ name }) => name)).toEqual(['first.tar']);
});
