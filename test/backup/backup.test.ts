import { execFile } from 'node:child_process';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as A from '@automerge/automerge';
import { describe, expect, it } from 'vitest';
import { BackupFile } from '../../src/backup/backup-file.js';
import { CLUSTER, folder, node } from '../node/world.js';
import { fill, filesIn, headsIn, headsOf, names, restore } from './world.js';

describe('a backup', () => {
  it('is one private file with every document as it stands, and says what is in it', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true });
    await fill(one, 0, 20);
    const { path, manifest } = await one.backups.create('asked');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(dataDir, 'backups'))).mode & 0o777).toBe(0o700);
    const file = await BackupFile.open(path);
    await file.check({ load: true });
    expect(headsIn(file)).toEqual(headsOf(one));
    expect(file.manifest).toEqual(manifest);
    expect(file.manifest).toMatchObject({
      format: 1,
      replica: one.self.replica,
      reason: 'asked',
      schemas: [1],
    });
    expect(file.manifest.documents.map(({ name }) => name).sort()).toEqual([
      'actors/0',
      'actors/1',
      'cluster',
      'routing/0',
      'routing/1',
    ]);
    await file.close();
    expect((await readFile(path)).includes(CLUSTER)).toBe(false);
  });

  it('opens without this software: tar, sha256sum, and Automerge for the documents', async () => {
    const one = await node([], { found: true });
    await fill(one, 0, 5);
    const { path, manifest } = await one.backups.create('asked');
    const out = await mkdtemp(join(await folder(), 'out-'));
    const run = promisify(execFile);
    await run('tar', ['xf', path, '-C', out]);
    const { stdout } = await run('sha256sum', ['--strict', '-c', 'SHA256SUMS'], { cwd: out });
    expect(stdout.trim().split('\n')).toHaveLength(manifest.documents.length + 1);
    for (const { id, heads } of manifest.documents) {
      const document = A.load(await readFile(join(out, 'documents', `${id}.automerge`)));
      expect(A.getHeads(document).sort()).toEqual(heads);
    }
  });

  it('restores into an empty folder with equal heads, where another replica goes on', async () => {
    const one = await node([], { found: true });
    await fill(one, 0, 20);
    const { path } = await one.backups.create('asked');
    const dataDir = await folder();
    const restored = await restore(path, dataDir);
    expect(new Set(restored.map(({ outcome }) => outcome))).toEqual(new Set(['added']));
    const other = await node([], { dataDir, found: true, shards: 2 });
    expect(names(other)).toEqual(names(one));
    expect(other.self.replica).not.toBe(one.self.replica);
    const documents = headsOf(other);
    for (const { id, name, heads } of one.heads())
      if (name !== 'cluster') expect(documents[id]).toEqual(heads);
    await fill(other, 20, 22);
    expect(names(other)).toHaveLength(22);
  });

  it('holds only what was in the documents, not the journal, the lock, or who the replica is', async () => {
    const dataDir = await folder();
    const one = await node([], { dataDir, found: true });
    await writeFile(join(dataDir, 'delivery.journal'), 'position and prompts');
    const { path, manifest } = await one.backups.create('asked');
    const text = (await readFile(path)).toString('latin1');
    expect(text).not.toContain('position and prompts');
    expect(text.match(/documents\/\w+\.automerge\0/g)).toHaveLength(manifest.documents.length);
    const empty = await folder();
    await restore(path, empty);
    expect((await filesIn(empty)).filter((name) => !name.startsWith(join(empty, 'documents')))).toEqual([]);
  });
});
