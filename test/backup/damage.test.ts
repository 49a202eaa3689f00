import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BackupFile } from '../../src/backup/backup-file.js';
import { BackupError } from '../../src/backup/errors.js';
import { BLOCK } from '../../src/backup/tar.js';
import { restoreFolder } from '../../src/node/backup/restore-folder.js';
import { silentLog } from '../../src/telemetry/log.js';
import { folder, node } from '../node/world.js';
import { fill, filesIn } from './world.js';

/** The same numbers at each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % below;
  };
}

async function made(): Promise<{ bytes: Buffer; path: string; opened: (bytes: Buffer) => Promise<unknown> }> {
  const one = await node([], { found: true, shards: 1 });
  await fill(one, 0, 20);
  const { path } = await one.backups.create('asked');
  const bytes = await readFile(path);
  const copy = join(await folder(), 'copy.tar');
  const opened = async (changed: Buffer): Promise<unknown> => {
    await writeFile(copy, changed);
    try {
      const file = await BackupFile.open(copy);
      try {
        await file.check({ load: false });
      } finally {
        await file.close();
      }
      return 'good';
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      return error.code;
    }
  };
  return { bytes, path, opened };
}

describe('a backup file', () => {
  it('shows every flipped bit, wherever it is', async () => {
    const { bytes, opened } = await made();
    expect(await opened(bytes)).toBe('good');
    const below = numbers(4);
    const places = Array.from({ length: 300 }, () => below(bytes.length));
    // The first header, the sums, and the zeros at the end.
    for (let at = 0; at < BLOCK; at += 4) places.push(at, bytes.length - 1 - 3 * at);
    for (const at of places) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << below(8));
      expect(await opened(flipped), `byte ${at}`).toMatch(/damaged|newer/);
    }
  }, 60_000);

  it('shows that it was cut off, or that something follows', async () => {
    const { bytes, opened } = await made();
    const below = numbers(5);
    const lengths = [0, 1, BLOCK, bytes.length - 1, bytes.length - BLOCK, bytes.length - 2 * BLOCK];
    lengths.push(...Array.from({ length: 100 }, () => below(bytes.length)));
    for (const length of lengths)
      expect(await opened(bytes.subarray(0, length)), `${length}`).toBe('damaged');
    expect(await opened(Buffer.concat([bytes, Buffer.alloc(BLOCK)]))).toBe('damaged');
    expect(await opened(Buffer.concat([bytes, bytes]))).toBe('damaged');
  });

  it('B-checked: that is damaged changes nothing in the folder it was to be restored into', async () => {
    const { bytes, path } = await made();
    // Within a document of actors: those of routing, which are restored before it, are good.
    const backup = await BackupFile.open(path);
    const actors = backup.manifest.documents.find(({ kind }) => kind === 'actors');
    await backup.close();
    const flipped = Buffer.from(bytes);
    const at = bytes.indexOf(`documents/${actors?.id}`) + BLOCK + 40;
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await writeFile(path, flipped);
    const dataDir = await folder();
    const restoring = restoreFolder({ path, dataDir, dryRun: false, clusterId: undefined, log: silentLog });
    await expect(restoring).rejects.toMatchObject({ code: 'damaged' });
    expect(await filesIn(dataDir)).toEqual([]);
  });

  it('of a later version is refused by name, and one that claims what it has not is no backup', async () => {
    const { bytes, opened } = await made();
    const text = bytes.toString('latin1');
    const newer = Buffer.from(text.replace('"format": 1', '"format": 2'), 'latin1');
    expect(await opened(newer)).toBe('newer');
    const size = text.indexOf('documents/') + 124;
    const huge = Buffer.from(text.slice(0, size) + '77777777777' + text.slice(size + 11), 'latin1');
    expect(await opened(huge)).toBe('damaged');
  });
});
