import { cp, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/index.js';
import { backupQuestions } from '../../src/node/backup/questions.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { folder, node } from '../node/world.js';
import { buildOnce } from '../world/build.js';
import { understudy } from '../world/command.js';
import { fill, filesIn, headsOf, names } from './world.js';

const run = async (...args: string[]) => understudy(['backup', ...args], { cwd: await folder() });

describe('understudy backup', { timeout: 180_000 }, () => {
  beforeAll(buildOnce, 120_000);

  it('create asks the running replica, list shows it, verify reads it', async () => {
    const dir = await folder();
    const one = await node([], { dataDir: dir, found: true });
    await fill(one, 0, 5);
    const handlers = backupQuestions(one.backups);
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });
    const made = await run('create', '--data', dir, '--json');
    expect([made.code, made.stderr]).toEqual([0, '']);
    const { version, name, path, documents } = JSON.parse(made.stdout) as Record<string, unknown>;
    expect([version, documents]).toEqual([1, 5]);
    await control.close();
    expect(one.backups.status()).toMatchObject({ state: 'idle', made: 1, good: 1, failed: 0 });

    const listed = await run('list', '--data', dir);
    expect(listed.code).toBe(0);
    expect(listed.stdout).toContain('1 backup');
    expect(listed.stdout).toMatch(new RegExp(`${String(name)} .* ${one.self.replica} \\(asked\\) .* good`));
    const verified = await run('verify', String(path));
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('is good: 5 documents')]);
    await one.close();
  });

  it('create says why the replica could not make it', async () => {
    const dir = await folder();
    const one = await node([], { dataDir: dir, found: true });
    await writeFile(join(dir, 'backups'), 'in the way');
    const handlers = backupQuestions(one.backups);
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });
    const { code, stderr } = await run('create', '--data', dir);
    expect([code, stderr]).toEqual([1, expect.stringContaining('the backup was not made')]);
    expect(one.backups.status()).toMatchObject({ made: 0, failed: 1 });
    await control.close();
  });

  it('create reads a folder that nobody holds, and needs no secret for it', async () => {
    const dir = await folder();
    const one = await node([], { dataDir: dir, found: true });
    await fill(one, 0, 5);
    const heads = headsOf(one);
    await one.close();
    const { code, stdout, stderr } = await run('create', '--data', dir);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('5 documents');
    const list = await run('list', '--data', dir, '--json');
    const { backups } = JSON.parse(list.stdout) as { backups: { name: string; replica: string }[] };
    expect(backups).toMatchObject([{ state: 'good', replica: one.self.replica, documents: 5, schemas: [1] }]);
    const verified = await run('verify', backups[0]?.name ?? '', '--data', dir, '--json');
    const { documents } = JSON.parse(verified.stdout) as { documents: { id: string; heads: string[] }[] };
    expect(Object.fromEntries(documents.map((one) => [one.id, one.heads]))).toEqual(heads);
  });

  it('verify and restore name what is wrong with a damaged file, and change nothing', async () => {
    const dir = await folder();
    const one = await node([], { dataDir: dir, found: true });
    await fill(one, 0, 5);
    const { path } = await one.backups.create('asked');
    const cut = join(dir, 'cut.tar');
    await cp(path, cut);
    await truncate(cut, (await stat(cut)).size - 700);
    const verified = await run('verify', cut);
    expect([verified.code, verified.stderr]).toEqual([
      1,
      expect.stringContaining('cut.tar is no good backup'),
    ]);
    const empty = await folder();
    const restored = await run('restore', cut, '--data', empty);
    expect([restored.code, restored.stderr]).toEqual([1, verified.stderr]);
    expect(await filesIn(empty)).toEqual([]);
    const missing = await run('verify', join(dir, 'nothing.tar'), '--json');
    expect(missing.code).toBe(1);
    expect(JSON.parse(missing.stdout)).toMatchObject({ version: 1, good: false });
  });

  it('restore is refused while the replica runs, and says what to do', async () => {
    const dir = await folder();
    const one = await node([], { dataDir: dir, found: true });
    const { path } = await one.backups.create('asked');
    await one.flush();
    const before = await filesIn(dir);
    const { code, stderr } = await run('restore', path, '--data', dir);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `in use by process ${process.pid}: stop that process, restore, and start it again`,
    );
    expect(await filesIn(dir)).toEqual(before);
  });

  it('restore --dry-run says for each document what would change, and restore then does that', async () => {
    const dir = await folder();
    const one = await node([], { dataDir: dir, found: true });
    await fill(one, 0, 5);
    const { path } = await one.backups.create('asked');
    await one.close();
    const other = await folder();
    const dry = await run('restore', path, '--data', other, '--dry-run', '--json');
    expect(dry.code).toBe(0);
    expect(await filesIn(other)).toEqual([]);
    const plan = JSON.parse(dry.stdout) as { dry_run: boolean; documents: unknown[] };
    expect(plan.dry_run).toBe(true);
    const done = await run('restore', path, '--data', other, '--json');
    expect(JSON.parse(done.stdout)).toEqual({ ...plan, dry_run: false });
    const again = await run('restore', path, '--data', other);
    expect([again.code, again.stdout]).toEqual([
      0,
      expect.stringContaining('0 documents added, 0 merged, 5 as'),
    ]);
    const restored = await node([], { dataDir: other, found: true });
    expect(names(restored)).toHaveLength(5);
  });

  it('restore refuses the backup of another cluster, by the setting or by what stands in the folder', async () => {
    const one = await node([], { found: true });
    const { path } = await one.backups.create('asked');
    const empty = await folder();
    const settings = { UNDERSTUDY_CLUSTER_ID: 'another-cluster-of-somebody' };
    const args = ['backup', 'restore', path, '--data', empty];
    const bySetting = await understudy(args, { cwd: await folder(), settings });
    expect([bySetting.code, bySetting.stderr]).toEqual([2, expect.stringContaining('UNDERSTUDY_CLUSTER_ID')]);
    const dir = await folder();
    await (await node([], { dataDir: dir, found: true, clusterId: settings.UNDERSTUDY_CLUSTER_ID })).close();
    const before = await Promise.all((await filesIn(dir)).map((name) => readFile(name)));
    const byFolder = await run('restore', path, '--data', dir);
    expect([byFolder.code, byFolder.stderr]).toEqual([2, expect.stringContaining('another cluster')]);
    expect(await Promise.all((await filesIn(dir)).map((name) => readFile(name)))).toEqual(before);
  });

  it('restore guesses no folder', async () => {
    const { code, stderr } = await run('restore', 'some.tar');
    expect([code, stderr]).toEqual([2, expect.stringContaining('--data')]);
  });
});
