import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../src/index.js';
import { run as rollback } from '../../src/cli/commands/migrate-rollback.js';
import { run as migrate } from '../../src/cli/commands/migrate-run.js';
import { run as status } from '../../src/cli/commands/migrate-status.js';
import { migrationQuestions } from '../../src/node/migrations/questions.js';
import { controlPath, startControl } from '../../src/telemetry/control.js';
import { folder, node } from '../node/world.js';
import { next } from './next-release.js';

const alone = { found: true, shards: 1, migrations: { auto: false }, backups: { everyMs: 0 } };
afterEach(() => vi.restoreAllMocks());

/** What a build of the next release would print, and its exit code. */
async function said(
  command: typeof status,
  dir: string,
  options: Record<string, unknown> = {},
): Promise<{ code: number; text: string }> {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const flags = new Map([['UNDERSTUDY_DATA_DIR', { flag: '--data', text: dir }]]);
  try {
    const code = await command({ env: {}, flags }, options, undefined, undefined, next);
    return { code, text: written.join('') };
  } finally {
    spy.mockRestore();
  }
}

async function written(): Promise<string> {
  const dataDir = await folder();
  const one = await node([], { dataDir, replicaId: 'one', ...alone });
  const write = { kind: 'user' as const, key: 'matrix_user:@a:x', fields: { selected_agent_id: 'echo' } };
  await one.change([write], { id: '$1', ts: 1 });
  await one.close();
  return dataDir;
}

describe('understudy migrate', () => {
  it('says how a folder stands, who must be updated first, what it would do, does it, and takes it back', async () => {
    const dir = await written();
    const before = await said(status, dir);
    expect(before.text).toContain('3 documents have schema 1');
    expect(before.text).toContain('3 documents are to be migrated');
    expect(before.text).toContain('one knows schema 1: update it first');
    const refused = await said(migrate, dir);
    expect(refused).toMatchObject({ code: 1, text: expect.stringContaining('update one (schema 1) first') });
    const plan = await said(migrate, dir, { force: true, dryRun: true });
    expect(plan.text).toContain('would migrate 3 documents, 1 records');
    expect((await said(status, dir)).text).toContain('3 documents have schema 1');
    const done = JSON.parse((await said(migrate, dir, { force: true, json: true })).text) as object;
    expect(done).toMatchObject({ version: 1, state: 'done', documents: 3, records: 1, dry_run: false });
    expect((await said(migrate, dir)).text).toBe('nothing is to be migrated\n');

    const newer = await node([], { dataDir: dir, schemas: next, ...alone });
    const write = { kind: 'user' as const, key: 'matrix_user:@a:x', fields: { agents: ['echo', 'drill'] } };
    await newer.change([write], { id: '$2', ts: 2 });
    await newer.close();
    const back = await said(rollback, dir, { dryRun: true });
    expect(back.text).toContain('3 documents would be at schema 1 again');
    expect(back.text).toContain('! matrix_user:@a:x: agents cannot be said in schema 1');
    expect(back.text).toContain('older software reads "echo"');
    expect((await said(rollback, dir)).code).toBe(0);
    const held = JSON.parse((await said(status, dir, { json: true })).text) as object;
    expect(held).toMatchObject({
      version: 1,
      held: [2],
      documents: [{ schema: 1, count: 3 }],
      read_only: [],
    });
    expect((await said(rollback, dir)).text).toContain('nothing is to be rolled back');
    await expect(said(rollback, dir, { to: 'x' })).rejects.toMatchObject({ exitCode: 2 });
  }, 60_000);

  it('asks the process that holds the folder, and is refused by it for a rollback', async () => {
    const dir = await written();
    const one = await node([], { dataDir: dir, replicaId: 'one', schemas: next, ...alone });
    const handlers = migrationQuestions(one.migrations);
    const control = await startControl({ path: controlPath(dir), handlers, log: silentLog });
    expect((await said(status, dir)).text).toContain('this software knows schema 2');
    expect((await said(migrate, dir)).text).toMatch(
      /^migrated 3 documents, 1 records .* stood before is in .*\.tar\n$/,
    );
    expect((await said(status, dir)).text).toContain('3 documents have schema 2');
    await expect(said(rollback, dir)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringContaining('stop that process'),
    });
    await control.close();
    await one.close();
  }, 60_000);
});
