import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BackupFile } from '../../src/backup/backup-file.js';
import { BackupFolder } from '../../src/backup/backup-folder.js';
import { restoreFolder } from '../../src/node/backup/restore-folder.js';
import { newSealingKey, sealingKey } from '../../src/storage/seal.js';
import { silentLog } from '../../src/telemetry/log.js';
import { CLUSTER, folder, node } from '../node/world.js';
import { fill, filesIn, names } from './world.js';

const keys = { current: sealingKey(newSealingKey())! };
const other = { current: sealingKey(newSealingKey())! };

async function sealed() {
  const dataDir = await folder();
  const one = await node([], { dataDir, found: true, storageKeys: keys });
  await fill(one, 0, 5);
  const { path, manifest } = await one.backups.create('asked');
  await one.close();
  return { dataDir, path, manifest };
}

describe('the backup of an encrypted folder', () => {
  it('is encrypted with the same key, and shows damage without it', async () => {
    const plain = await node([], { found: true });
    await fill(plain, 0, 5);
    const clear = await readFile((await plain.backups.create('asked')).path);
    expect(clear.includes('matrix_room:!r1:x')).toBe(true);
    const { dataDir, path, manifest } = await sealed();
    expect(manifest.sealed_with).toBe(keys.current.id);
    expect((await readFile(path)).includes('matrix_room:!r1:x')).toBe(false);

    const file = await BackupFile.open(path);
    await file.check({ load: false });
    await expect(file.check({ load: true })).rejects.toMatchObject({ code: 'sealed' });
    await file.close();
    expect(await new BackupFolder(join(dataDir, 'backups')).list()).toMatchObject([{ state: 'good' }]);
    const opened = await BackupFile.open(path, { current: other.current, previous: keys.current });
    await opened.check({ load: true });
    await opened.close();
  });

  it('heals its folder, and is restored under another key', async () => {
    const { dataDir, path } = await sealed();
    for (const file of await filesIn(join(dataDir, 'documents')))
      if (file.includes('snapshot')) await rm(file);
    const healed = await node([], { dataDir, found: true, storageKeys: keys });
    expect(healed.counters().recovery.fromBackup).toBeGreaterThan(0);
    expect(names(healed)).toHaveLength(5);

    const refused = await folder();
    const restoring = (into: string, storageKeys: object) =>
      restoreFolder({ path, dataDir: into, storageKeys, dryRun: false, clusterId: CLUSTER, log: silentLog });
    await expect(restoring(refused, other)).rejects.toMatchObject({ code: 'sealed' });
    expect(await filesIn(refused)).toEqual([]);
    const moved = await folder();
    await restoring(moved, { current: other.current, previous: keys.current });
    const again = await node([], { dataDir: moved, found: true, storageKeys: other });
    expect(names(again)).toHaveLength(5);
  });
});
