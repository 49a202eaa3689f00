import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { BackupFile } from '../../src/backup/backup-file.js';
import { BackupFolder } from '../../src/backup/backup-folder.js';
import { assembled } from '../../src/backup/stored-document.js';
import { documentId } from '../../src/documents/ids.js';
import { folderChunks } from '../../src/node/backup/folder-chunks.js';
import { oneOfEach, changing, forEachOf, takesAll } from '../actors/children/each.js';
import { CLUSTER, folder, node } from '../node/world.js';
import { compiledChildren, startChild } from '../storage/children/build.js';
import { fill, headsIn, headsOf, names, restore } from './world.js';

const children = compiledChildren('test/backup/children', ['backup-child', 'restore-child']);

/** Runs a child over a copy of a folder; its calls when it was not killed. */
async function run(
  from: string,
  dieAt: number | undefined,
  path = '',
): Promise<{ dir: string; calls: string[] | undefined }> {
  const dir = join(await folder(), 'data');
  await cp(from, dir, { recursive: true });
  const child = startChild(children.path(path === '' ? 'backup-child' : 'restore-child'), [
    CLUSTER,
    dir,
    String(dieAt ?? ''),
    path,
  ]);
  const end = await child.ended;
  const said = child.lines.find((line) => line.startsWith('calls '));
  expect(end).toBe(said === undefined ? 'SIGKILL' : 0);
  return { dir, calls: said === undefined ? undefined : (JSON.parse(said.slice(6)) as string[]) };
}

/** Heads of all that stands in a folder, each chunk of which must be good. */
async function stored(dir: string): Promise<Record<string, string[]>> {
  const faults: string[] = [];
  const chunks = folderChunks(join(dir, 'documents'), (fault) => faults.push(fault));
  const heads: Record<string, string[]> = {};
  for (const id of await chunks.ids()) {
    const document = assembled(await chunks.chunks(id));
    expect(A.getMissingDeps(document, [])).toEqual([]);
    heads[id] = A.getHeads(document).sort();
  }
  expect(faults).toEqual([]);
  return heads;
}

/** A folder with 10 rooms, a backup of it, and a folder beside it with 5 of these rooms and 5 newer ones. */
async function world(): Promise<{ dir: string; path: string; older: string; both: number }> {
  const dir = await folder();
  const older = join(await folder(), 'data');
  const one = await node([], { dataDir: dir, found: true, shards: 1 });
  await fill(one, 0, 5);
  await one.close();
  await cp(dir, older, { recursive: true });
  const again = await node([], { dataDir: dir, found: true, shards: 1 });
  await fill(again, 5, 10);
  const { path } = await again.backups.create('asked');
  await again.close();
  const apart = await node([], { dataDir: older, found: true, shards: 1 });
  await fill(apart, 10, 15);
  await apart.close();
  return { dir, path, older, both: 15 };
}

describe('killed at every file call', () => {
  it('of a backup: whatever is listed as good is whole, the one before stays until then, nothing half made stays', async () => {
    const { dir: from, path } = await world();
    const whole = await run(from, undefined);
    const calls = whole.calls ?? [];
    expect(calls).toEqual(
      expect.arrayContaining(['create', 'file.write half', 'file.sync', 'rename', 'syncFolder', 'remove']),
    );
    const before = await stored(from);
    const cluster = documentId(CLUSTER, { kind: 'cluster', index: 0, generation: 0 });
    const counted = { old: 0, both: 0, new: 0 };
    await forEachOf(oneOfEach(4, changing(calls)), async (call) => {
      const { dir } = await run(from, call);
      const after = await stored(dir);
      for (const [id, heads] of Object.entries(before)) if (id !== cluster) expect(after[id]).toEqual(heads);
      const backups = new BackupFolder(join(dir, 'backups'));
      const listed = await backups.list();
      expect(listed.filter(({ state }) => state !== 'good')).toEqual([]);
      expect(listed.length).toBeGreaterThan(0);
      for (const one of listed) {
        const file = await BackupFile.open(one.path);
        await file.check({ load: true });
        await file.close();
      }
      const isOld = listed.some(({ name }) => path.endsWith(name));
      counted[isOld ? (listed.length === 1 ? 'old' : 'both') : 'new'] += 1;

      const again = await node([], {
        dataDir: dir,
        found: true,
        shards: 1,
        backups: { everyMs: 0, keep: 1 },
      });
      expect(names(again)).toHaveLength(10);
      const made = await again.backups.create('asked');
      expect(await readdir(join(dir, 'backups'))).toEqual([made.name]);
      await again.close();
    });
    expect(counted.old).toBeGreaterThan(takesAll ? 10 : 0);
    if (takesAll) expect(counted.both).toBeGreaterThan(0);
    expect(counted.new).toBeGreaterThan(0);
  }, 300_000);

  it.each([
    ['an empty folder', 'empty'],
    ['a folder with newer changes', 'newer'],
  ] as const)(
    'of a restore into %s: nothing that stood there is lost, and the same again ends the same',
    async (_, kind) => {
      const { path, older } = await world();
      const from = kind === 'empty' ? await folder() : older;
      const whole = await run(from, undefined, path);
      const calls = whole.calls ?? [];
      expect(calls).toEqual(expect.arrayContaining(['file.write half', 'file.sync', 'rename', 'syncFolder']));
      const wanted = await stored(whole.dir);
      const cluster = documentId(CLUSTER, { kind: 'cluster', index: 0, generation: 0 });
      const backup = await BackupFile.open(path);
      const backedUp = headsIn(backup);
      await backup.close();
      let halves = 0;
      await forEachOf(oneOfEach(12, changing(calls)), async (call) => {
        const { dir } = await run(from, call, path);
        const half = await stored(dir);
        // The cluster comes last: an empty folder with it has everything.
        if (kind === 'empty' && half[cluster] !== undefined) expect(half).toEqual(backedUp);
        if (kind === 'newer')
          expect(Object.keys(half)).toEqual(expect.arrayContaining(Object.keys(await stored(from))));
        if (JSON.stringify(half) !== JSON.stringify(wanted)) halves += 1;
        await restore(path, dir);
        expect(await stored(dir)).toEqual(wanted);
      });
      expect(halves).toBeGreaterThan(takesAll ? 3 : 0);
      const opened = await node([], { dataDir: whole.dir, found: true, shards: 1 });
      expect(names(opened)).toHaveLength(kind === 'empty' ? 10 : 15);
      if (kind === 'empty')
        expect(headsOf(opened)).toMatchObject({ ...backedUp, [cluster]: expect.anything() });
    },
    300_000,
  );
});
