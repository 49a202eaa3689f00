import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/storage/file-layer.js';
import { eventually, folder, node } from '../node/world.js';
import { next } from './next-release.js';

const alone = { found: true, shards: 1, migrations: { auto: false }, backups: { everyMs: 0 }, schemas: next };
const { create } = nodeFiles;
afterEach(() => {
  nodeFiles.create = create;
});

describe('a node', () => {
  it('V-members: migrates nothing while a member does not know the schema that is not retired', async () => {
    const other = { kind: 'member' as const, key: 'member:other' };
    const two = await node([], alone);
    await two.change([{ ...other, fields: { last_seen_at: Date.now() } }], { id: '$1' });
    expect(await two.migrations.run(true)).toEqual({
      state: 'waiting',
      members: [{ replica: 'other', schema: 1 }],
    });
    expect(two.migrations.status().documents).toEqual([{ schema: 1, count: 3 }]);
    await two.change([{ ...other, fields: { retired: true } }], { id: '$2' });
    expect(await two.migrations.run()).toMatchObject({ state: 'done', documents: 3 });
    expect(await two.migrations.run()).toEqual({ state: 'nothing' });
    await two.close();
  });

  it('V-backup: migrates nothing without a backup, says why, and does it when there can be one', async () => {
    const dataDir = await folder();
    await writeFile(join(dataDir, 'backups'), 'in the way');
    const one = await node([], { ...alone, dataDir });
    await expect(one.migrations.run()).rejects.toThrow();
    expect(one.migrations.status()).toMatchObject({
      failed: 1,
      fault: expect.any(String) as string,
      documents: [{ schema: 1, count: 3 }],
    });
    await rm(join(dataDir, 'backups'));
    expect(await one.migrations.run()).toMatchObject({ state: 'done', backup: expect.any(String) as string });
    expect(one.migrations.status().fault).toBeUndefined();
    await one.close();
  });

  it('V-ahead: a disk that runs full keeps the old version in force, serves, and is migrated when there is room', async () => {
    const one = await node([], alone);
    await one.change([{ kind: 'room', key: 'matrix_room:!a:x', fields: { display_name: 'one' } }], {
      id: '$1',
    });
    // So that the migration is the first thing that the disk refuses.
    await one.flush();
    const make = one.backups.create.bind(one.backups);
    one.backups.create = async (reason) => {
      const made = await make(reason);
      nodeFiles.create = () => Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
      return made;
    };
    let done = false;
    const running = one.migrations.run().then((outcome) => {
      done = true;
      return outcome;
    });
    await eventually(() => one.storage().state === 'failing');
    expect(done).toBe(false);
    expect(one.migrations.status()).toMatchObject({ state: 'running', documents: [{ schema: 1, count: 3 }] });
    expect(one.provenance('room', 'matrix_room:!a:x')?.['title']?.value).toEqual({ text: 'one' });
    nodeFiles.create = create;
    expect(await running).toMatchObject({ state: 'done', documents: 3 });
    expect(one.migrations.status().documents).toEqual([{ schema: 2, count: 3 }]);
    await one.close();
  }, 60_000);
});
