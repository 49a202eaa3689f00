import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BackupFile } from '../../src/backup/backup-file.js';
import { writeBackup } from '../../src/backup/write-backup.js';
import { documentId } from '../../src/documents/ids.js';
import { folderChunks } from '../../src/node/backup/folder-chunks.js';
import { restoreFolder } from '../../src/node/backup/restore-folder.js';
import type { KeyedStoreOptions } from '../../src/index.js';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { silentLog } from '../../src/telemetry/log.js';
import { counted, cutNow, cutting, generationOf, send } from '../generations/world.js';
import { CLUSTER, eventually, folder, node, relay, sameHeads } from '../node/world.js';
import { errno } from '../storage/faulty-files.js';
import { fill, headsOf, names } from './world.js';

const { create } = nodeFiles;
afterEach(() => void (nodeFiles.create = create));

const restored = (path: string, dataDir: string) =>
  restoreFolder({ path, dataDir, dryRun: false, clusterId: CLUSTER, log: silentLog });

const rename = (one: Awaited<ReturnType<typeof node>>, name: string, id: string, ts: number) =>
  one.change([{ kind: 'room', key: 'matrix_room:!r0:x', fields: { display_name: name } }], { id, ts });

describe('a restore', () => {
  it('B-beside: beside newer state undoes nothing, brings what is lacking, and the same again changes nothing', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true });
    await fill(one, 0, 5);
    await rename(one, 'old', '$old', 5000);
    const { path } = await one.backups.create('asked');
    await rename(one, 'new', '$new', 6000);
    await fill(one, 5, 10);
    const heads = headsOf(one);
    await one.close();
    const { documents } = await restored(path, dataDir);
    expect(documents.map(({ outcome }) => outcome)).toEqual(['same', 'same', 'same', 'same', 'same']);
    const again = await node([], { dataDir, found: true });
    expect(names(again)).toContain('new');
    expect(names(again)).not.toContain('old');
    expect(headsOf(again)).toMatchObject(
      Object.fromEntries(
        again.heads().flatMap(({ id, name }) => (name === 'cluster' ? [] : [[id, heads[id]]])),
      ),
    );
  });

  it('into the folder of another replica of the cluster is a merge, which then reaches its peers', async () => {
    const hub = await relay();
    const one = await node([hub]);
    await fill(one, 0, 5);
    const dataDir = await folder();
    const two = await node([hub], { dataDir });
    await eventually(() => sameHeads(one, two));
    await two.close();
    const own = join(await folder(), 'data');
    await cp(dataDir, own, { recursive: true });
    // Away from all others: what it has is in its backup alone.
    const lonely = await node([], { dataDir: own, found: true });
    await fill(lonely, 5, 8);
    const { path } = await lonely.backups.create('asked');
    await lonely.close();
    await fill(one, 8, 10);

    const { documents } = await restored(path, dataDir);
    expect(documents.some(({ outcome, changes }) => outcome === 'merged' && changes > 0)).toBe(true);
    const again = await node([hub], { dataDir });
    await eventually(() => sameHeads(one, again) && names(one).length === 10);
    expect(again.self.replica).toBe(two.self.replica);
  });

  it('A6: of a generation that was superseded brings only what nobody had, and the generation goes again', async () => {
    const dataDir = await folder();
    const onDisk = folderChunks(join(dataDir, 'documents'), () => {});
    const first = documentId(CLUSTER, { kind: 'actors', index: 0, generation: 0 });
    const isThere = async () => (await onDisk.ids()).includes(first);
    const one = await cutting([], { dataDir, found: true });
    await send(one, '$1', 1000);
    await send(one, '$2', 1001);
    const before = await one.backups.create('asked');
    await one.close();
    // A copy of the folder that goes on apart: it has an event that stands in its backup alone.
    const apart = join(await folder(), 'data');
    await cp(dataDir, apart, { recursive: true });
    const other = await cutting([], { dataDir: apart, found: true });
    await send(other, '$alone', 1002);
    const alone = await other.backups.create('asked');
    await other.close();

    const again = await cutting([], { dataDir, found: true });
    expect(await cutNow(again)).toBe(1);
    await expect.poll(isThere).toBe(false);
    await send(again, '$3', 1003);
    const after = await again.backups.create('asked');
    expect(after.manifest.documents.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['actors/0.1', 'audit/0']),
    );
    await again.close();

    for (const { path, wanted } of [
      { path: before.path, wanted: ['$1', '$2', '$3'] },
      { path: alone.path, wanted: ['$1', '$2', '$3', '$alone'] },
    ]) {
      const { documents } = await restored(path, dataDir);
      expect(documents.find(({ name }) => name === 'actors/0')?.outcome).toBe('added');
      const opened = await cutting([], { dataDir, found: true });
      expect(counted(opened)).toEqual(wanted);
      expect(generationOf(opened)).toMatch(/^actors\/0\.1\./);
      await expect.poll(isThere).toBe(false);
      await opened.close();
    }

    // Where nobody knows of the cut, the generation that it replaced is what counts.
    const empty = await folder();
    await restored(before.path, empty);
    const old = await cutting([], { dataDir: empty, found: true });
    expect([counted(old), generationOf(old)]).toEqual([['$1', '$2'], 'actors/0']);
    await old.close();
    // And the later backup, merged into that, moves it on.
    await restored(after.path, empty);
    const moved = await cutting([], { dataDir: empty, found: true });
    expect(counted(moved)).toEqual(['$1', '$2', '$3']);
    expect(generationOf(moved)).toMatch(/^actors\/0\.1\./);
  });

  it('B-recorded: leaves out a generation that was in the making, for everything in it stands in the one before', async () => {
    const one = await cutting([], { found: true });
    await send(one, '$1', 1000);
    const earlier = await one.backups.create('asked');
    expect(await cutNow(one)).toBe(1);
    const made = await one.backups.create('asked');
    const begun = made.manifest.documents.find(({ name }) => name === 'actors/0.1');
    // The bytes of the next generation, in a backup whose cluster says nothing of the cut.
    const [from, whole] = [await BackupFile.open(earlier.path), await BackupFile.open(made.path)];
    const path = join(await folder(), 'begun.tar');
    const documents = async function* () {
      for (const entry of from.manifest.documents) yield { ...entry, bytes: await from.read(entry) };
      if (begun !== undefined) yield { ...begun, bytes: await whole.read(begun) };
    };
    const { cluster, replica, created_at, reason } = from.manifest;
    const head = { cluster, replica, created_at, reason };
    await writeBackup({ files: nodeFiles, path, head, documents: documents(), count: 4 });
    await Promise.all([from.close(), whole.close()]);
    const dataDir = await folder();
    const { documents: outcomes } = await restored(path, dataDir);
    expect(outcomes.find(({ name }) => name === 'actors/0.1')?.outcome).toBe('skipped');
    const opened = await cutting([], { dataDir, found: true });
    expect(counted(opened)).toEqual(['$1']);
  });

  it('brings back the entries of keyed stores, and none that was consumed', async () => {
    const votes: KeyedStoreOptions<number> = {
      namespace: 'votes',
      class: 'durable',
      ttl: 3600_000,
      maxEntries: 10,
      persistent: true,
      shape: z.number(),
    };
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true });
    const store = await one.openKeyedStore(votes);
    store.register('kept', 1);
    store.register('consumed', 2);
    await store.flush();
    const { path } = await one.backups.create('asked');
    expect(store.consume('consumed')).toBe(2);
    await store.flush();
    await one.close();
    await restored(path, dataDir);
    const same = await (await node([], { dataDir, found: true })).openKeyedStore(votes);
    expect([same.lookup('kept'), same.lookup('consumed')]).toEqual([1, undefined]);
    const empty = await folder();
    await restored(path, empty);
    const fresh = await (await node([], { dataDir: empty, found: true })).openKeyedStore(votes);
    expect(fresh.lookup('kept')).toBe(1);
  });

  it('says that the disk refuses rather than wait for it, and goes on when it is asked again', async () => {
    const one = await node([], { found: true });
    await fill(one, 0, 5);
    const { path } = await one.backups.create('asked');
    const dataDir = await folder();
    let left = 6;
    nodeFiles.create = async (file) => {
      if (file.includes('documents') && (left -= 1) < 0) throw errno('ENOSPC', file);
      return create(file);
    };
    await expect(restored(path, dataDir)).rejects.toMatchObject({ code: 'unsaved' });
    nodeFiles.create = create;
    const { documents } = await restored(path, dataDir);
    expect(documents.map(({ outcome }) => outcome)).toEqual(expect.arrayContaining(['same', 'added']));
    const backup = await BackupFile.open(path);
    const plan = await restoreFolder({ path, dataDir, dryRun: true, clusterId: CLUSTER, log: silentLog });
    expect(new Set(plan.documents.map(({ outcome }) => outcome))).toEqual(new Set(['same']));
    expect(plan.documents).toHaveLength(backup.manifest.documents.length);
    await backup.close();
  });
});
