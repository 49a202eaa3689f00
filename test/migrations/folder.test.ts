import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLog, systemClock } from '../../src/index.js';
import { productSchemas } from '../../src/documents/migrations/schemas.js';
import { lookAtFolder, migrateFolder } from '../../src/node/migrations/folder.js';
import { rollBackFolder } from '../../src/node/migrations/roll-back-folder.js';
import { eventually, folder, node, relay, sameHeads } from '../node/world.js';
import { next } from './next-release.js';

const common = { schemas: next, clock: systemClock, log: silentLog };
const alone = { found: true, shards: 1, migrations: { auto: false }, backups: { everyMs: 0 } };
const room = (name: string) => ({ kind: 'room' as const, key: `matrix_room:!${name}:x` });
const user = { kind: 'user' as const, key: 'matrix_user:@a:x' };

async function written(): Promise<string> {
  const dataDir = await folder();
  const one = await node([], { dataDir, ...alone });
  await one.change(
    [
      { ...room('a'), fields: { display_name: 'one' } },
      { ...user, fields: { selected_agent_id: 'echo' } },
    ],
    { id: '$1', ts: 1 },
  );
  await one.change([{ ...room('b'), fields: { display_name: 'two' } }], { id: '$2', ts: 2 });
  await one.close();
  return dataDir;
}

describe('a folder in which nothing runs', () => {
  it('is migrated after a backup, and comes back: exactly as it was, with what was changed since', async () => {
    const dataDir = await written();
    const before = await node([], { dataDir, ...alone });
    const stood = JSON.stringify(before.provenance('room', room('a').key));
    await before.close();
    const migrated = await migrateFolder({ dataDir, keep: 10, ...common });
    expect(migrated.documents.map(({ kind }) => kind).sort()).toEqual(['actors', 'cluster', 'routing']);
    const newer = await node([], { dataDir, schemas: next, ...alone });
    expect(newer.provenance('room', room('a').key)?.['title']?.value).toEqual({ text: 'one' });
    await newer.change(
      [
        { ...room('b'), fields: { title: { text: 'zwei', lang: 'de' } } },
        { ...user, fields: { agents: ['echo', 'drill'] } },
      ],
      { id: '$3', ts: 3 },
    );
    await newer.close();

    const plan = await rollBackFolder({ dataDir, to: 1, backup: undefined, dryRun: true, ...common });
    const rolled = await rollBackFolder({ dataDir, to: 1, backup: undefined, dryRun: false, ...common });
    expect(rolled).toEqual(plan);
    expect(rolled.backup.path).toBe(migrated.backup);
    expect(rolled).toMatchObject({
      kept: 1,
      inexpressible: [{ key: user.key, field: 'agents', instead: 'echo' }],
    });
    expect((await lookAtFolder({ dataDir, ...common })).held).toEqual([2]);
    const again = await rollBackFolder({ dataDir, to: 1, backup: undefined, dryRun: false, ...common });
    expect(again.documents).toEqual([]);

    const older = await node([], { dataDir, ...alone, schemas: productSchemas });
    expect(older.migrations.readOnly()).toEqual([]);
    const { title: _, ...fields } = older.provenance('room', room('a').key)!;
    expect(JSON.stringify(fields)).toBe(stood);
    expect(older.read('room', room('b').key)?.display_name).toBe('zwei');
    expect(older.read('user', user.key)?.selected_agent_id).toBe('echo');
    await older.change([{ ...room('a'), fields: { display_name: 'drei' } }], { id: '$4', ts: 4 });
    await older.close();
    // A newer release leaves it alone until it is told.
    const newest = await node([], { dataDir, schemas: next, ...alone });
    expect(await newest.migrations.run()).toEqual({ state: 'held', schema: 2 });
    expect(await newest.migrations.run(true)).toMatchObject({ state: 'done' });
    expect(newest.provenance('room', room('a').key)?.['title']?.value).toEqual({ text: 'drei' });
    expect(newest.provenance('user', user.key)?.['agents']?.value).toEqual(['echo', 'drill']);
    await newest.close();
  });

  it('V-held: a rollback in one folder reaches every replica, and no replica of the newer release undoes it', async () => {
    const hub = await relay();
    const [one, two] = [await folder(), await folder()];
    const options = { schemas: next, shards: 1, backups: { everyMs: 0 }, migrations: { everyMs: 50 } };
    const first = await node([hub], { dataDir: one, replicaId: 'one', ...options });
    await first.change([{ ...room('a'), fields: { title: { text: 'one' } } }], { id: '$1' });
    await eventually(() => first.migrations.status().migrated === 3);
    const second = await node([hub], { dataDir: two, replicaId: 'two', ...options });
    await eventually(() => sameHeads(first, second));
    await first.close();
    await second.close();
    await rollBackFolder({ dataDir: one, to: 1, backup: undefined, dryRun: false, ...common });
    const back = await node([hub], { dataDir: one, ...options });
    const other = await node([hub], { dataDir: two, ...options });
    await eventually(() => sameHeads(back, other));
    await eventually(() => other.migrations.status().held.includes(2));
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const node of [back, other]) {
      expect(node.migrations.status().documents).toEqual([{ schema: 1, count: 3 }]);
      expect(node.provenance('room', room('a').key)?.['title']?.value).toEqual({ text: 'one' });
    }
    await back.close();
    await other.close();
  });

  it('is refused without a backup from before, with what to do', async () => {
    const dataDir = await written();
    await expect(
      rollBackFolder({ dataDir, to: 1, backup: undefined, dryRun: false, ...common }),
    ).rejects.toMatchObject({ code: 'no-backup', message: expect.stringContaining('--backup') });
  });

  it('two that were migrated apart, at the same heads, are the same', async () => {
    const dataDir = await written();
    const other = join(await folder(), 'data');
    await cp(dataDir, other, { recursive: true });
    await migrateFolder({ dataDir, keep: 10, ...common });
    await migrateFolder({ dataDir: other, keep: 10, ...common });
    const heads = async (dir: string) => {
      const opened = await node([], { dataDir: dir, schemas: next, ...alone });
      // They are opened side by side, in any order.
      const found = opened.heads().filter(({ name }) => name !== 'cluster');
      found.sort((one, two) => (one.name < two.name ? -1 : 1));
      await opened.close();
      return found;
    };
    expect(await heads(dataDir)).toEqual(await heads(other));
  });
});
